package hearth

import (
	"context"
	"strings"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

// Namespace is a named key space of the store. It is safe for concurrent use and lives as long as
// its Client.
//
// Keys are strings of 1 to 1024 arbitrary bytes. They are strings and not byte slices because that
// is what keys are in Go: immutable, comparable, the key type of the maps this replaces. A []byte is
// converted without allocation by the compiler up to 32 bytes, because no method keeps its key; for
// longer ones on the hot path there is [Namespace.GetAppendBytes].
type Namespace struct {
	client        *Client
	store         *index.Store
	name          string
	view          index.Namespace
	touches       *session.Touches
	pending       *session.Pending
	flights       flights
	writable      bool
	maxValueBytes uint64
}

// Metadata is what an entry says about itself.
type Metadata struct {
	// Version grows with every write to the store.
	Version uint64
	// Expires is when the entry stops being served; zero for never. It carries a monotonic reading, so
	// time.Until is right whatever happens to the wall clock.
	Expires time.Time
	// StaleAt is when the entry becomes stale; zero for never.
	StaleAt time.Time
	// Stale says that StaleAt has passed: the value is served, and should be refreshed.
	Stale bool
	// KnownAbsent comes with ErrNotFound: the key was looked for where it comes from, and is not there
	// ([NegativeTTL]). Version and Expires are about that.
	KnownAbsent bool
}

// Name is the name of the namespace.
func (n *Namespace) Name() string { return n.name }

// Writable says whether hearthd's policy lets this process write.
func (n *Namespace) Writable() bool { return n.writable }

// MaxValueBytes is the longest value that Set takes.
func (n *Namespace) MaxValueBytes() uint64 { return n.maxValueBytes }

// fallbackTimeout bounds the one case in which GetAppend asks hearthd.
const fallbackTimeout = time.Second

// GetAppend appends the value of key to dst and returns it with its metadata. It reads shared memory
// on the caller's own thread: no system call, no lock, and no allocation if dst has room, whether
// hearthd is idle, busy or dead. On an error dst is returned as it was.
//
// A Get that begins after a Set or Delete was acknowledged, to whatever process, sees it or a later
// one. If the key is overwritten faster than it can be copied, eight times in a row, GetAppend asks
// hearthd instead, for a second at most. It also waits, as long at most, for a write of key that this
// client has queued with SetAsync or DeleteAsync; those are the only cases in which it waits.
//
// Errors: ErrNotFound, ErrInvalidKey, ErrClosed; in the first of these cases also those of [Namespace.Get].
func (n *Namespace) GetAppend(dst []byte, key string) (value []byte, metadata Metadata, err error) {
	var meta index.Meta
	value, result := n.lookup(dst, key, &meta)
	if result != index.Hit {
		return n.notHit(context.Background(), dst, key, result, &meta)
	}
	if meta.Wanting() {
		n.touches.Note(&meta)
	}
	// Field by field: a Metadata that is returned and assigned is copied three times.
	metadata.Version = meta.Version
	metadata.Stale = meta.Stale
	if meta.HardExpiryMs&meta.SoftExpiryMs != layout.Never {
		setExpiry(n.store, &metadata, &meta)
	}
	return value, metadata, nil
}

// GetAppendBytes is GetAppend for a key in a byte slice, which must not change meanwhile.
func (n *Namespace) GetAppendBytes(dst, key []byte) ([]byte, Metadata, error) {
	return n.GetAppend(dst, index.KeyOf(key))
}

const (
	// noLookup is the result of a lookup that was not allowed.
	noLookup = index.Result(255)
	// unsettled is that of one that must wait for an asynchronous write of this client.
	unsettled = index.Result(254)
)

func (n *Namespace) lookup(dst []byte, key string, meta *index.Meta) ([]byte, index.Result) {
	if n.pending.Any() || len(key)-1 >= layout.MaxKeyBytes || len(key) == 0 {
		return n.lookupWithCare(dst, key, meta)
	}
	return n.store.Read(dst, &n.view, key, meta)
}

func (n *Namespace) lookupWithCare(dst []byte, key string, meta *index.Meta) ([]byte, index.Result) {
	if n.client.closed.Load() || len(key)-1 >= layout.MaxKeyBytes || len(key) == 0 {
		return dst, noLookup
	}
	hash := n.store.Hash(&n.view, key)
	if n.pending.Has(hash) {
		return dst, unsettled
	}
	return n.store.Lookup(dst, &n.view, key, hash, meta)
}

// settle reads a key of which this client may have queued a change. Requests of a channel are executed
// in order, so the answer to a ping comes after the change. Without an answer the key is a miss if the
// change is known not to have been applied, or not known to have been.
func (n *Namespace) settle(ctx context.Context, dst []byte, key string, meta *index.Meta) ([]byte, index.Result) {
	ch := n.channel(key)
	ch.Reap()
	if n.pending.Has(n.store.Hash(&n.view, key)) {
		ctx, cancel := context.WithTimeout(ctx, fallbackTimeout)
		defer cancel()
		r := session.Request{Op: layout.OpPing}
		var result session.Result
		ch.Do(ctx, &r, nil, &result)
		if (result.Failure != nil || result.Status != 0) && ch.Unapplied(uint32(n.view.ID), key) {
			return dst, index.Miss
		}
	}
	return n.store.Read(dst, &n.view, key, meta)
}

func (n *Namespace) notHit(ctx context.Context, dst []byte, key string, result index.Result, meta *index.Meta) ([]byte, Metadata, error) {
	if result == unsettled {
		dst, result = n.settle(ctx, dst, key, meta)
	}
	switch result {
	case index.Hit:
		return dst, metadataOf(n.store, meta), nil
	case index.Miss:
		return dst, Metadata{}, ErrNotFound
	case index.Absent:
		metadata := Metadata{Version: meta.Version, KnownAbsent: true}
		setExpiry(n.store, &metadata, meta)
		return dst, metadata, ErrNotFound
	case index.Contended:
		ctx, cancel := context.WithTimeout(ctx, fallbackTimeout)
		defer cancel()
		return n.ask(ctx, dst, key)
	}
	if len(key) < layout.MinKeyBytes || len(key) > layout.MaxKeyBytes {
		return dst, Metadata{}, n.invalidKey(context.Background(), "get", key)
	}
	return dst, Metadata{}, ErrClosed
}

func setExpiry(store *index.Store, metadata *Metadata, meta *index.Meta) {
	if meta.HardExpiryMs != layout.Never {
		metadata.Expires = store.Time(meta.HardExpiryMs)
	}
	if meta.SoftExpiryMs != layout.Never {
		metadata.StaleAt = store.Time(meta.SoftExpiryMs)
	}
}

func metadataOf(store *index.Store, meta *index.Meta) Metadata {
	metadata := Metadata{Version: meta.Version, Stale: meta.Stale}
	setExpiry(store, &metadata, meta)
	return metadata
}

// Get returns a copy of the value of key. It is GetAppend with a new slice, and ctx bounds the
// cases in which that waits.
//
// Errors: ErrNotFound, ErrInvalidKey, ErrClosed; rarely ErrNotRunning, or ctx's.
func (n *Namespace) Get(ctx context.Context, key string) ([]byte, error) {
	var meta index.Meta
	value, result := n.lookup([]byte{}, key, &meta)
	if result == index.Hit {
		if meta.Wanting() {
			n.touches.Note(&meta)
		}
		return value, nil
	}
	value, _, err := n.notHit(ctx, value, key, result, &meta)
	if err != nil {
		return nil, err
	}
	return value, nil
}

// ask reads through hearthd. The value goes through a buffer of its own, so that dst may stay on the
// caller's stack.
func (n *Namespace) ask(ctx context.Context, dst []byte, key string) ([]byte, Metadata, error) {
	result, err := n.request(ctx, key)
	switch {
	case err == ErrNotFound:
		return dst, n.absence(&result), err
	case err != nil:
		return dst, Metadata{}, err
	}
	return append(dst, result.Value...), n.metadata(&result), nil
}

func (n *Namespace) askRaw(ctx context.Context, dst []byte, key string) ([]byte, index.Meta, error) {
	result, err := n.request(ctx, key)
	if err != nil {
		return dst, index.Meta{}, err
	}
	return append(dst, result.Value...), n.meta(&result), nil
}

func (n *Namespace) request(ctx context.Context, key string) (session.Result, error) {
	r := session.Request{Op: layout.OpGet, Target: n.view.Handle, Key: key, Space: 1 << 12,
		Limit: n.maxValueBytes}
	keyBody(&r, key)
	trace := stamp(ctx, &r)
	var result session.Result
	n.channel(key).Do(ctx, &r, nil, &result)
	if result.Failure == nil && Code(result.Status) == CodeNotFound {
		return result, ErrNotFound
	}
	if result.Failure != nil || result.Status != 0 {
		return result, operationError("get", key, trace.TraceID, &result)
	}
	return result, nil
}

// meta is what an answer says about its entry.
func (n *Namespace) meta(result *session.Result) index.Meta {
	meta := index.Meta{Version: result.Version, HardExpiryMs: result.HardExpiryMs, SoftExpiryMs: result.SoftExpiryMs}
	meta.Stale = meta.SoftExpiryMs != layout.Never && !time.Now().Before(n.store.Time(meta.SoftExpiryMs))
	return meta
}

// metadata is that of an answer with a value.
func (n *Namespace) metadata(result *session.Result) Metadata {
	meta := n.meta(result)
	return metadataOf(n.store, &meta)
}

// absence is the metadata of a NOT_FOUND, which has a version if a negative entry was its reason.
func (n *Namespace) absence(result *session.Result) Metadata {
	if result.Version == 0 {
		return Metadata{}
	}
	metadata := n.metadata(result)
	metadata.KnownAbsent = true
	return metadata
}

// channel is the channel of a key. Always the same one, so that writes to a key keep their order.
func (n *Namespace) channel(key string) *session.Channel {
	// Not the lowest bits: they choose the bucket, and the daemon's neighbours there.
	return n.client.session.Channel(n.store.Hash(&n.view, key) >> 40)
}

func (n *Namespace) invalidKey(ctx context.Context, op, key string) error {
	return &Error{Op: op, Name: strings.Clone(key), Code: CodeInvalidArgument, Execution: NotStarted, sentinel: ErrInvalidKey,
		Message: ErrInvalidKey.Error(), TraceID: traceOf(ctx).TraceID}
}

// Item is one key of a GetMulti, and what became of it.
type Item struct {
	Key string
	// Value lies in the slice that GetMulti returned.
	Value    []byte
	Metadata Metadata
	// Err is nil, or one of GetAppend's errors.
	Err error
}

// GetMulti looks up many keys, appends their values to dst, and fills in the items. It is faster than
// single reads when the keys are not in the CPU's cache, since their memory accesses overlap. Each
// item is read as by GetAppend; there is no snapshot over all of them.
func (n *Namespace) GetMulti(dst []byte, items []Item) []byte {
	for len(items) > 0 {
		batch := items[:min(len(items), multiBatch)]
		items = items[len(batch):]
		n.prefetch(batch)
		for i := range batch {
			item := &batch[i]
			from := len(dst)
			dst, item.Metadata, item.Err = n.GetAppend(dst, item.Key)
			item.Value = nil
			if item.Err == nil {
				item.Value = dst[from:len(dst):len(dst)]
			}
		}
	}
	return dst
}

// multiBatch is how many lookups overlap: about as many cache misses as a core has in flight.
const multiBatch = 16

func (n *Namespace) prefetch(batch []Item) {
	if n.client.closed.Load() {
		return
	}
	var hashes [multiBatch]uint64
	for i := range batch {
		hashes[i] = n.store.Hash(&n.view, batch[i].Key)
		n.store.PrefetchBucket(hashes[i])
	}
	for i := range batch {
		n.store.PrefetchEntry(hashes[i])
	}
}
