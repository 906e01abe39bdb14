package control

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/conformance"
	"github.com/hearthd/hearth/go-binding/internal/controlwire"
	"github.com/hearthd/hearth/go-binding/wire"
)

// fields is a message as control.json writes it: text, json.Number, bool, nil, lists and fields.
type fields map[string]any

type word = conformance.Word

func parse(t *testing.T, line []byte) fields {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var f fields
	if err := decoder.Decode(&f); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return f
}

// describe decodes a packet and reads every field of it.
func describe(t *testing.T, to string, packet []byte) (fields, error) {
	t.Helper()
	var m wire.Message
	answer, err := open(&m, packet)
	if err != nil {
		return nil, err
	}
	f := fields{}
	if to == "daemon" {
		describeRequest(f, controlwire.RootClientMessage(&m))
	} else {
		describeAnswer(f, answer)
	}
	if err := m.Err(); err != nil {
		return nil, err
	}
	f["to"], f["bytes"] = to, hex.EncodeToString(packet)
	line, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, line), nil
}

func describeRequest(f fields, m controlwire.ClientMessageReader) {
	f["request_id"] = m.RequestId()
	switch m.Which() {
	case controlwire.ClientMessageWhichHello:
		h := m.Hello()
		layoutOf := func(l controlwire.LayoutReader) fields {
			return fields{"version": l.Version(), "fingerprint": word(l.Fingerprint())}
		}
		f["kind"] = "hello"
		f["protocol_min"], f["protocol_max"] = h.ProtocolMin(), h.ProtocolMax()
		f["store_layout"], f["session_layout"] = layoutOf(h.StoreLayout()), layoutOf(h.SessionLayout())
		f["client_name"], f["client_version"] = h.ClientName(), h.ClientVersion()
		f["store"], f["channels"] = h.Store(), h.Channels()
		f["request_ring_bytes"], f["response_ring_bytes"] = h.RequestRingBytes(), h.ResponseRingBytes()
	case controlwire.ClientMessageWhichOpenNamespace:
		f["kind"], f["name"] = "open_namespace", m.OpenNamespace().Name()
	case controlwire.ClientMessageWhichOpenMethod:
		f["kind"], f["name"] = "open_method", m.OpenMethod().Name()
	case controlwire.ClientMessageWhichStatus:
		f["kind"] = "status"
	case controlwire.ClientMessageWhichCreateNamespace:
		f["kind"] = "create_namespace"
		describeSettings(f, m.CreateNamespace())
	case controlwire.ClientMessageWhichAlterNamespace:
		f["kind"], f["fields"] = "alter_namespace", m.AlterNamespace().Fields()
		describeSettings(f, m.AlterNamespace().Settings())
	case controlwire.ClientMessageWhichDropNamespace:
		f["kind"], f["name"] = "drop_namespace", m.DropNamespace().Name()
	case controlwire.ClientMessageWhichFlushNamespace:
		f["kind"], f["name"] = "flush_namespace", m.FlushNamespace().Name()
	case controlwire.ClientMessageWhichListNamespaces:
		f["kind"], f["from_id"] = "list_namespaces", m.ListNamespaces().FromId()
	}
}

func describeSettings(f fields, s controlwire.NamespaceSettingsReader) {
	f["name"], f["hard_ttl_ms"], f["soft_ttl_ms"] = s.Name(), word(s.HardTtlMs()), word(s.SoftTtlMs())
	f["quota_min_bytes"], f["quota_max_bytes"] = word(s.QuotaMinBytes()), word(s.QuotaMaxBytes())
	f["refuse_when_full"], f["strict"], f["tiny_lfu"] = s.RefuseWhenFull(), s.Strict(), s.TinyLfu()
}

func describeNamespaces(list interface {
	Len() int
	At(int) controlwire.NamespaceStatusReader
}) []any {
	namespaces := []any{}
	for i := range list.Len() {
		namespaces = append(namespaces, describeNamespace(fields{}, list.At(i)))
	}
	return namespaces
}

func describeNamespace(f fields, n controlwire.NamespaceStatusReader) fields {
	f["id"], f["name"], f["used_bytes"] = n.Id(), n.Name(), word(n.UsedBytes())
	f["quota_max_bytes"], f["hard_ttl_ms"] = word(n.QuotaMaxBytes()), word(n.HardTtlMs())
	f["soft_ttl_ms"], f["evicts"], f["strict"] = word(n.SoftTtlMs()), n.Evicts(), n.Strict()
	f["quota_min_bytes"], f["tiny_lfu"] = word(n.QuotaMinBytes()), n.TinyLfu()
	return f
}

func describeAnswer(f fields, m controlwire.ServerMessageReader) {
	f["request_id"] = m.RequestId()
	switch m.Which() {
	case controlwire.ServerMessageWhichError:
		f["kind"] = "error"
		describeError(f, m.Error())
	case controlwire.ServerMessageWhichEnded:
		f["kind"] = "ended"
		describeError(f, m.Ended())
	case controlwire.ServerMessageWhichWelcome:
		w := m.Welcome()
		f["kind"], f["protocol"] = "welcome", w.Protocol()
		f["session_id"], f["epoch"] = word(w.SessionId()), word(w.Epoch())
		f["server_version"], f["store"] = w.ServerVersion(), w.Store()
		f["store_uuid"], f["channels"] = hex.EncodeToString(w.StoreUuid()), w.Channels()
		f["max_value_bytes"], f["max_message_bytes"] = word(w.MaxValueBytes()), word(w.MaxMessageBytes())
		f["server_pid"], f["shared_uid"] = w.ServerPid(), w.SharedUid()
	case controlwire.ServerMessageWhichNamespace:
		n := m.Namespace()
		f["kind"], f["id"], f["name"] = "namespace", n.Id(), n.Name()
		f["writable"], f["max_value_bytes"], f["incarnation"] = n.Writable(), word(n.MaxValueBytes()), n.Incarnation()
	case controlwire.ServerMessageWhichNamespaceStatus:
		f["kind"] = "namespace_status"
		describeNamespace(f, m.NamespaceStatus())
	case controlwire.ServerMessageWhichNamespaceList:
		list := m.NamespaceList()
		f["kind"], f["next_id"], f["namespaces"] = "namespace_list", list.NextId(), describeNamespaces(list.Namespaces())
	case controlwire.ServerMessageWhichMethod:
		f["kind"], f["id"], f["name"] = "method", m.Method().Id(), m.Method().Name()
	case controlwire.ServerMessageWhichStatus:
		describeStatus(f, m.Status())
	}
}

func describeError(f fields, e controlwire.ErrorReader) {
	f["code"], f["message"], f["mismatch"] = e.Code(), e.Message(), nil
	if e.HasMismatch() {
		m := e.Mismatch()
		f["mismatch"] = fields{"subject": m.Subject(), "client": m.Client(), "server": m.Server()}
	}
}

func describeStatus(f fields, s controlwire.StatusReader) {
	f["kind"] = "status"
	f["server_version"], f["server_pid"] = s.ServerVersion(), s.ServerPid()
	f["epoch"], f["uptime_ms"], f["sessions_omitted"] = word(s.Epoch()), word(s.UptimeMs()), s.SessionsOmitted()
	stores, sessions := []any{}, []any{}
	for i := range s.Stores().Len() {
		stores = append(stores, describeStore(s.Stores().At(i)))
	}
	for i := range s.Sessions().Len() {
		p := s.Sessions().At(i)
		sessions = append(sessions, fields{"id": word(p.Id()), "pid": p.Pid(), "uid": p.Uid(), "client_name": p.ClientName(),
			"store": p.Store(), "channels": p.Channels(), "operations": word(p.Operations()), "connected_ms": word(p.ConnectedMs())})
	}
	f["stores"], f["sessions"] = stores, sessions
}

func describeStore(s controlwire.StoreStatusReader) fields {
	namespaces := describeNamespaces(s.Namespaces())
	return fields{"name": s.Name(), "uuid": hex.EncodeToString(s.Uuid()), "bytes": word(s.Bytes()), "segment_bytes": s.SegmentBytes(),
		"segments": s.Segments(), "free_segments": s.FreeSegments(), "entries": word(s.Entries()), "live_bytes": word(s.LiveBytes()),
		"evicted_entries": word(s.EvictedEntries()), "index_pages": word(s.IndexPages()), "namespaces": namespaces,
		"namespaces_omitted": s.NamespacesOmitted(), "operations": word(s.Operations())}
}

// The values of parsed fields. A missing one is a mistake of the file's, and panics.

func (f fields) number(name string) uint64 {
	text := ""
	switch v := f[name].(type) {
	case json.Number:
		text = v.String()
	case string: // a word
		text = v
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		panic(name + ": " + err.Error())
	}
	return n
}

func (f fields) text(name string) string { return f[name].(string) }
func (f fields) truth(name string) bool  { return f[name].(bool) }

func (f fields) bytes(name string) []byte {
	b, err := hex.DecodeString(f.text(name))
	if err != nil {
		panic(err)
	}
	return b
}

func (f fields) sub(name string) fields { return f[name].(map[string]any) }

func (f fields) list(name string) []fields {
	var all []fields
	for _, item := range f[name].([]any) {
		all = append(all, item.(map[string]any))
	}
	return all
}

// build encodes a message from its description, with Go's own encoder.
func build(f fields) ([]byte, error) {
	var b wire.Builder
	b.ResetFramed(nil, int(controlwire.MaxPacketBytes))
	if f.text("to") == "daemon" {
		m := controlwire.NewRootClientMessage(&b)
		m.SetRequestId(uint32(f.number("request_id")))
		buildRequest(f, m)
	} else {
		m := controlwire.NewRootServerMessage(&b)
		m.SetRequestId(uint32(f.number("request_id")))
		buildAnswer(f, m)
	}
	return b.Bytes()
}

func buildRequest(f fields, m controlwire.ClientMessageBuilder) {
	switch f.text("kind") {
	case "hello":
		h := m.NewHello()
		h.SetProtocolMin(uint16(f.number("protocol_min")))
		h.SetProtocolMax(uint16(f.number("protocol_max")))
		for name, l := range map[string]controlwire.LayoutBuilder{
			"store_layout": h.NewStoreLayout(), "session_layout": h.NewSessionLayout()} {
			l.SetVersion(uint32(f.sub(name).number("version")))
			l.SetFingerprint(f.sub(name).number("fingerprint"))
		}
		h.SetClientName(f.text("client_name"))
		h.SetClientVersion(f.text("client_version"))
		h.SetStore(f.text("store"))
		h.SetChannels(uint16(f.number("channels")))
		h.SetRequestRingBytes(uint32(f.number("request_ring_bytes")))
		h.SetResponseRingBytes(uint32(f.number("response_ring_bytes")))
	case "open_namespace":
		m.NewOpenNamespace().SetName(f.text("name"))
	case "open_method":
		m.NewOpenMethod().SetName(f.text("name"))
	case "status":
		m.NewStatus()
	case "create_namespace":
		buildSettings(f).write(m.NewCreateNamespace())
	case "alter_namespace":
		alter := m.NewAlterNamespace()
		buildSettings(f).write(alter.NewSettings())
		alter.SetFields(uint32(f.number("fields")))
	case "drop_namespace":
		m.NewDropNamespace().SetName(f.text("name"))
	case "flush_namespace":
		m.NewFlushNamespace().SetName(f.text("name"))
	case "list_namespaces":
		m.NewListNamespaces().SetFromId(uint16(f.number("from_id")))
	}
}

func buildSettings(f fields) *NamespaceSettings {
	return &NamespaceSettings{Name: f.text("name"), HardTTLMs: f.number("hard_ttl_ms"), SoftTTLMs: f.number("soft_ttl_ms"),
		QuotaMinBytes: f.number("quota_min_bytes"), QuotaMaxBytes: f.number("quota_max_bytes"),
		RefuseWhenFull: f.truth("refuse_when_full"), Strict: f.truth("strict"), TinyLFU: f.truth("tiny_lfu")}
}

func buildNamespace(f fields, n controlwire.NamespaceStatusBuilder) {
	n.SetId(uint16(f.number("id")))
	n.SetName(f.text("name"))
	n.SetUsedBytes(f.number("used_bytes"))
	n.SetQuotaMaxBytes(f.number("quota_max_bytes"))
	n.SetHardTtlMs(f.number("hard_ttl_ms"))
	n.SetSoftTtlMs(f.number("soft_ttl_ms"))
	n.SetEvicts(f.truth("evicts"))
	n.SetStrict(f.truth("strict"))
	n.SetQuotaMinBytes(f.number("quota_min_bytes"))
	n.SetTinyLfu(f.truth("tiny_lfu"))
}

func buildAnswer(f fields, m controlwire.ServerMessageBuilder) {
	switch f.text("kind") {
	case "error":
		buildError(f, m.NewError())
	case "ended":
		buildError(f, m.NewEnded())
	case "welcome":
		w := m.NewWelcome()
		w.SetProtocol(uint16(f.number("protocol")))
		w.SetSessionId(f.number("session_id"))
		w.SetEpoch(f.number("epoch"))
		w.SetServerVersion(f.text("server_version"))
		w.SetStore(f.text("store"))
		w.SetStoreUuid(f.bytes("store_uuid"))
		w.SetChannels(uint16(f.number("channels")))
		w.SetMaxValueBytes(f.number("max_value_bytes"))
		w.SetMaxMessageBytes(f.number("max_message_bytes"))
		w.SetServerPid(uint32(f.number("server_pid")))
		w.SetSharedUid(f.truth("shared_uid"))
	case "namespace":
		n := m.NewNamespace()
		n.SetId(uint16(f.number("id")))
		n.SetName(f.text("name"))
		n.SetWritable(f.truth("writable"))
		n.SetMaxValueBytes(f.number("max_value_bytes"))
		n.SetIncarnation(uint16(f.number("incarnation")))
	case "namespace_status":
		buildNamespace(f, m.NewNamespaceStatus())
	case "namespace_list":
		list := m.NewNamespaceList()
		list.SetNextId(uint32(f.number("next_id")))
		namespaces := list.NewNamespaces(len(f.list("namespaces")))
		for i, n := range f.list("namespaces") {
			buildNamespace(n, namespaces.At(i))
		}
	case "method":
		method := m.NewMethod()
		method.SetId(uint32(f.number("id")))
		method.SetName(f.text("name"))
	case "status":
		buildStatus(f, m.NewStatus())
	}
}

func buildError(f fields, e controlwire.ErrorBuilder) {
	e.SetCode(uint16(f.number("code")))
	e.SetMessage(f.text("message"))
	if f["mismatch"] == nil {
		return
	}
	mismatch, m := f.sub("mismatch"), e.NewMismatch()
	m.SetSubject(controlwire.MismatchSubject(mismatch.number("subject")))
	m.SetClient(mismatch.text("client"))
	m.SetServer(mismatch.text("server"))
}

func buildStatus(f fields, s controlwire.StatusBuilder) {
	s.SetServerVersion(f.text("server_version"))
	s.SetServerPid(uint32(f.number("server_pid")))
	s.SetEpoch(f.number("epoch"))
	s.SetUptimeMs(f.number("uptime_ms"))
	stores := s.NewStores(len(f.list("stores")))
	for i, store := range f.list("stores") {
		buildStore(store, stores.At(i))
	}
	sessions := s.NewSessions(len(f.list("sessions")))
	for i, session := range f.list("sessions") {
		p := sessions.At(i)
		p.SetId(session.number("id"))
		p.SetPid(uint32(session.number("pid")))
		p.SetUid(uint32(session.number("uid")))
		p.SetClientName(session.text("client_name"))
		p.SetStore(session.text("store"))
		p.SetChannels(uint16(session.number("channels")))
		p.SetOperations(session.number("operations"))
		p.SetConnectedMs(session.number("connected_ms"))
	}
	s.SetSessionsOmitted(uint32(f.number("sessions_omitted")))
}

func buildStore(f fields, s controlwire.StoreStatusBuilder) {
	s.SetName(f.text("name"))
	s.SetUuid(f.bytes("uuid"))
	s.SetBytes(f.number("bytes"))
	s.SetSegmentBytes(uint32(f.number("segment_bytes")))
	s.SetSegments(uint32(f.number("segments")))
	s.SetFreeSegments(uint32(f.number("free_segments")))
	s.SetEntries(f.number("entries"))
	s.SetLiveBytes(f.number("live_bytes"))
	s.SetEvictedEntries(f.number("evicted_entries"))
	s.SetIndexPages(f.number("index_pages"))
	namespaces := s.NewNamespaces(len(f.list("namespaces")))
	for i, namespace := range f.list("namespaces") {
		buildNamespace(namespace, namespaces.At(i))
	}
	s.SetNamespacesOmitted(uint32(f.number("namespaces_omitted")))
	s.SetOperations(f.number("operations"))
}
