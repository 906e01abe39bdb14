package control

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/conformance"
	"github.com/hearthd/hearth/go-binding/internal/controlwire"
	"github.com/hearthd/hearth/go-binding/internal/layout"
)

type vectors struct {
	Messages []json.RawMessage
	Hostile  []struct {
		Why, To string
		Bytes   conformance.Bytes
	}
}

func readVectors(t *testing.T) (messages []fields, all vectors) {
	t.Helper()
	conformance.Read(t, "write", "control.json", &all)
	kinds := map[string]bool{}
	for _, line := range all.Messages {
		f := parse(t, line)
		kinds[f.text("to")+" "+f.text("kind")] = true
		messages = append(messages, f)
	}
	if len(kinds) != 17 {
		t.Fatalf("vectors of %v; there are 9 kinds to the daemon and 8 to clients", kinds)
	}
	return messages, all
}

func TestGoReadsControlMessagesOfCpp(t *testing.T) {
	messages, _ := readVectors(t)
	for _, want := range messages {
		got, err := describe(t, want.text("to"), want.bytes("bytes"))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n got %v\nwant %v", err, got, want)
		}
	}
}

// cppDecodes lets C++ decode packets and returns its descriptions, without the bytes.
func cppDecodes(t *testing.T, to []string, packets [][]byte) []fields {
	t.Helper()
	var input strings.Builder
	for i, packet := range packets {
		input.WriteString(to[i] + " " + hex.EncodeToString(packet) + "\n")
	}
	lines := strings.Split(strings.TrimSuffix(conformance.Run(t, input.String(), "decode"), "\n"), "\n")
	if len(lines) != len(packets) {
		t.Fatalf("%d descriptions of %d packets", len(lines), len(packets))
	}
	var all []fields
	for i, line := range lines {
		f := parse(t, []byte(line))
		if f["bytes"] != hex.EncodeToString(packets[i]) {
			t.Errorf("packet %d: %v", i, f)
		}
		delete(f, "bytes")
		all = append(all, f)
	}
	return all
}

func TestCppReadsControlMessagesOfGo(t *testing.T) {
	messages, _ := readVectors(t)
	var to []string
	var packets [][]byte
	for _, f := range messages {
		packet, err := build(f)
		if err != nil {
			t.Fatal(err)
		}
		to, packets = append(to, f.text("to")), append(packets, packet)
	}
	for i, got := range cppDecodes(t, to, packets) {
		want := messages[i]
		delete(want, "bytes")
		if !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %v\nwant %v", got, want)
		}
	}
}

// What the client sends in earnest, and not only what its encoder can.
func TestCppReadsWhatTheClientSends(t *testing.T) {
	options := Options{Name: "users-service", Version: "1.2.3", Store: "hot", Channels: 3,
		RequestRingBytes: 1 << 16, ResponseBytes: 1 << 20}
	var packets [][]byte
	for _, fill := range []func(controlwire.ClientMessageBuilder){
		func(m controlwire.ClientMessageBuilder) { writeHello(m, &options) },
		writeOpenNamespace("users"),
		writeOpenMethod("transit.sign"),
		writeCreateNamespace(&NamespaceSettings{Name: "users", HardTTLMs: 1, SoftTTLMs: 2, QuotaMinBytes: 3,
			QuotaMaxBytes: 4, RefuseWhenFull: true, TinyLFU: true}),
		writeAlterNamespace(&NamespaceSettings{Name: "users", Strict: true}, FieldStrict),
		writeDropNamespace("users"),
		writeFlushNamespace("users"),
	} {
		packet, err := encode(fill)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, packet)
	}
	want := []fields{
		{"to": "daemon", "kind": "hello", "request_id": 1, "protocol_min": controlwire.ProtocolVersion,
			"protocol_max": controlwire.ProtocolVersion,
			"store_layout": fields{"version": layout.StoreLayoutVersion, "fingerprint": word(layout.StoreFingerprint)},
			"session_layout": fields{"version": layout.SessionLayoutVersion,
				"fingerprint": word(layout.SessionFingerprint)},
			"client_name": "users-service", "client_version": "1.2.3", "store": "hot", "channels": 3,
			"request_ring_bytes": 1 << 16, "response_ring_bytes": 1 << 20},
		{"to": "daemon", "kind": "open_namespace", "request_id": 0, "name": "users"},
		{"to": "daemon", "kind": "open_method", "request_id": 0, "name": "transit.sign"},
		{"to": "daemon", "kind": "create_namespace", "request_id": 0, "name": "users", "hard_ttl_ms": word(1),
			"soft_ttl_ms": word(2), "quota_min_bytes": word(3), "quota_max_bytes": word(4), "refuse_when_full": true,
			"strict": false, "tiny_lfu": true},
		{"to": "daemon", "kind": "alter_namespace", "request_id": 0, "name": "users", "hard_ttl_ms": word(0),
			"soft_ttl_ms": word(0), "quota_min_bytes": word(0), "quota_max_bytes": word(0), "refuse_when_full": false,
			"strict": true, "tiny_lfu": false, "fields": 1 << 6},
		{"to": "daemon", "kind": "drop_namespace", "request_id": 0, "name": "users"},
		{"to": "daemon", "kind": "flush_namespace", "request_id": 0, "name": "users"},
	}
	for i, got := range cppDecodes(t, slices.Repeat([]string{"daemon"}, len(packets)), packets) {
		line, err := json.Marshal(want[i])
		if err != nil {
			t.Fatal(err)
		}
		if want := parse(t, line); !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %v\nwant %v", got, want)
		}
	}
}

func TestHostileControlMessagesAreRefused(t *testing.T) {
	messages, all := readVectors(t)
	if len(all.Hostile) < 40 {
		t.Fatalf("%d hostile packets", len(all.Hostile))
	}
	for _, h := range all.Hostile {
		if f, err := describe(t, h.To, h.Bytes); err == nil {
			t.Errorf("%s, to %s: accepted as %v", h.Why, h.To, f)
		}
		if h.To == "client" {
			if _, err := parseWelcome(h.Bytes, make([]int, 4)); !errors.Is(err, ErrNotHearth) {
				t.Errorf("%s: as a welcome: %v", h.Why, err)
			}
		}
	}
	for _, f := range messages {
		packet := f.bytes("bytes")
		for size := range packet {
			if _, err := describe(t, f.text("to"), packet[:size:size]); err == nil {
				t.Errorf("%d bytes of %v are accepted", size, f)
			}
		}
	}
}

// The client's own decoding, of the messages it expects.
func TestTheClientReadsAnswersOfCpp(t *testing.T) {
	messages, _ := readVectors(t)
	for _, f := range messages {
		if f.text("to") != "client" {
			continue
		}
		switch f.text("kind") {
		case "welcome":
			checkWelcome(t, f)
		case "ended":
			err := (&Conn{}).dispatch(f.bytes("bytes"))
			if checkStated(t, f, err); !errors.Is(err, ErrEnded) {
				t.Errorf("%v: %v", f, err)
			}
		default:
			answer := dispatched(t, f)
			switch f.text("kind") {
			case "error":
				checkStated(t, f, answer.Err)
			case "namespace":
				handle := uint32(f.number("incarnation"))<<16 | uint32(f.number("id"))
				if want := (Answer{ID: handle, Writable: f.truth("writable"),
					MaxValueBytes: f.number("max_value_bytes")}); answer != want {
					t.Errorf("%v: %+v", f, answer)
				}
			case "namespace_status":
				if answer != (Answer{}) {
					t.Errorf("%v: %+v", f, answer)
				}
			case "method":
				if want := (Answer{ID: uint32(f.number("id"))}); answer != want {
					t.Errorf("%v: %+v", f, answer)
				}
			}
		}
	}
}

// dispatched is the answer that whoever asked with the message's id gets.
func dispatched(t *testing.T, f fields) Answer {
	t.Helper()
	asked := make(chan Answer, 1)
	c := &Conn{waiting: map[uint32]chan Answer{uint32(f.number("request_id")): asked}}
	if err := c.dispatch(f.bytes("bytes")); err != nil {
		t.Fatalf("%v: %v", f, err)
	}
	select {
	case answer := <-asked:
		return answer
	default:
		t.Fatalf("%v: nobody got the answer", f)
		return Answer{}
	}
}

func checkWelcome(t *testing.T, f fields) {
	t.Helper()
	var descriptors []int // numbers are enough
	for i := range int(f.number("channels")) + 3 {
		descriptors = append(descriptors, 1000+i)
	}
	got, err := parseWelcome(f.bytes("bytes"), descriptors)
	last := len(descriptors) - 1
	want := &Welcome{SessionID: f.number("session_id"), Epoch: f.number("epoch"), ServerVersion: f.text("server_version"),
		Store: f.text("store"), MaxValueBytes: f.number("max_value_bytes"), MaxMessageBytes: f.number("max_message_bytes"),
		ServerPID: uint32(f.number("server_pid")), SharedUID: f.truth("shared_uid"), Region: 1000, Doorbell: 1001,
		ClientDoorbells: descriptors[2:last], StoreFD: 1000 + last}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	if _, err := parseWelcome(f.bytes("bytes"), descriptors[:last]); !errors.Is(err, ErrNotHearth) {
		t.Errorf("with a descriptor too few: %v", err)
	}
}

func checkStated(t *testing.T, f fields, err error) {
	t.Helper()
	want := Error{Code: uint16(f.number("code")), Message: f.text("message")}
	if f["mismatch"] != nil {
		m := f.sub("mismatch")
		want.Subject = []string{"protocol", "storeLayout", "sessionLayout"}[m.number("subject")]
		want.Client, want.Server = m.text("client"), m.text("server")
	}
	var got *Error
	if !errors.As(err, &got) || *got != want {
		t.Errorf("%v, want %+v", err, want)
	}
}
