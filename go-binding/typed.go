package hearth

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Typed is a namespace whose values are of one Go type. It is safe for concurrent use, and adds to what
// the codec allocates nothing. Everything that it does not have, such as Flush, Delete of many, or
// counters, is done with its Namespace.
//
// A codec that fails gives an *Error with ErrCodec, around the codec's own. When it fails on what is
// stored, GetOrLoad returns that too and does not load: two versions of a program that do not understand
// each other's values would go on overwriting them. Give the new ones other keys, or another namespace.
type Typed[T any] struct {
	ns    *Namespace
	codec Codec[T]
}

// NewTyped returns a view of a namespace.
func NewTyped[T any](ns *Namespace, codec Codec[T]) *Typed[T] { return &Typed[T]{ns, codec} }

// Namespace is the namespace.
func (t *Typed[T]) Namespace() *Namespace { return t.ns }

// Get returns the value of key. Errors: those of [Namespace.Get], and ErrCodec.
func (t *Typed[T]) Get(ctx context.Context, key string) (value T, metadata Metadata, err error) {
	b := takeBuffer()
	defer b.put()
	b.bytes, metadata, err = t.ns.GetAppend(b.bytes, key)
	return t.decode(ctx, "get", key, b.bytes, metadata, err)
}

// GetOrLoad is [Namespace.GetOrLoad] with a loader that returns a value. What it returns has been encoded
// and decoded, also where it was just loaded, so that it is the same for everybody.
func (t *Typed[T]) GetOrLoad(ctx context.Context, key string, load func(ctx context.Context, key string) (T, error), options ...SetOption) (value T, metadata Metadata, err error) {
	b := takeBuffer()
	defer b.put()
	b.bytes, metadata, err = t.ns.GetOrLoad(ctx, b.bytes, key, func(ctx context.Context, key string) ([]byte, error) {
		return t.load(ctx, key, load)
	}, options...)
	return t.decode(ctx, "load", key, b.bytes, metadata, err)
}

// RefreshBy is [RefreshBy] for GetOrLoad of a Typed.
func (t *Typed[T]) RefreshBy(load func(ctx context.Context, key string) (T, error), timeout time.Duration) SetOption {
	if load == nil {
		return RefreshBy(nil, timeout)
	}
	return RefreshBy(func(ctx context.Context, key string) ([]byte, error) { return t.load(ctx, key, load) }, timeout)
}

func (t *Typed[T]) load(ctx context.Context, key string, load func(context.Context, string) (T, error)) ([]byte, error) {
	value, err := load(ctx, key)
	if err != nil {
		return nil, err
	}
	data, err := t.codec.Append(nil, value)
	if err != nil {
		return nil, codecError(ctx, "load", key, NotStarted, err)
	}
	return data, nil
}

// Set stores a value: [Namespace.Set], and ErrCodec.
func (t *Typed[T]) Set(ctx context.Context, key string, value T, options ...SetOption) error {
	b, err := t.encode(ctx, "set", key, value)
	defer b.put()
	if err != nil {
		return err
	}
	return t.ns.Set(ctx, key, b.bytes, options...)
}

// SetAsync queues a Set: [Namespace.SetAsync], and ErrCodec.
func (t *Typed[T]) SetAsync(ctx context.Context, key string, value T, options ...SetOption) error {
	b, err := t.encode(ctx, "set", key, value)
	defer b.put()
	if err != nil {
		return err
	}
	return t.ns.SetAsync(ctx, key, b.bytes, options...)
}

// Add stores a value where there is none: [Namespace.Add], and ErrCodec.
func (t *Typed[T]) Add(ctx context.Context, key string, value T, options ...SetOption) (version uint64, err error) {
	b, err := t.encode(ctx, "add", key, value)
	defer b.put()
	if err != nil {
		return 0, err
	}
	return t.ns.Add(ctx, key, b.bytes, options...)
}

// Replace stores a value where there is one: [Namespace.Replace], and ErrCodec.
func (t *Typed[T]) Replace(ctx context.Context, key string, value T, options ...SetOption) (version uint64, err error) {
	b, err := t.encode(ctx, "replace", key, value)
	defer b.put()
	if err != nil {
		return 0, err
	}
	return t.ns.Replace(ctx, key, b.bytes, options...)
}

// CompareAndSwap stores a value in the place of the one with this version: [Namespace.CompareAndSwap], and
// ErrCodec.
func (t *Typed[T]) CompareAndSwap(ctx context.Context, key string, version uint64, value T, options ...SetOption) (current uint64, err error) {
	b, err := t.encode(ctx, "compare and swap", key, value)
	defer b.put()
	if err != nil {
		return 0, err
	}
	return t.ns.CompareAndSwap(ctx, key, version, b.bytes, options...)
}

// Delete is [Namespace.Delete].
func (t *Typed[T]) Delete(ctx context.Context, key string) (existed bool, err error) {
	return t.ns.Delete(ctx, key)
}

// Touch is [Namespace.Touch].
func (t *Typed[T]) Touch(ctx context.Context, key string, options ...SetOption) error {
	return t.ns.Touch(ctx, key, options...)
}

func (t *Typed[T]) encode(ctx context.Context, op, key string, value T) (*buffer, error) {
	b := takeBuffer()
	data, err := t.codec.Append(b.bytes, value)
	if err != nil {
		return b, codecError(ctx, op, key, NotStarted, err)
	}
	b.bytes = data
	return b, nil
}

func (t *Typed[T]) decode(ctx context.Context, op, key string, data []byte, metadata Metadata, failed error) (value T, _ Metadata, err error) {
	if failed != nil {
		return value, metadata, failed
	}
	if value, err = t.codec.Decode(data); err != nil {
		var none T
		return none, metadata, codecError(ctx, op, key, Done, err)
	}
	return value, metadata, nil
}

func codecError(ctx context.Context, op, key string, execution Execution, err error) error {
	return &Error{Op: op, Name: strings.Clone(key), Code: CodeInvalidArgument, Execution: execution, sentinel: ErrCodec, cause: err,
		Message: err.Error(), TraceID: traceOf(ctx).TraceID}
}

// buffer holds a value between codec and store.
type buffer struct{ bytes []byte }

// keptBuffer bounds what one large value leaves behind.
const keptBuffer = 1 << 20

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 512)} }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) put() {
	if cap(b.bytes) <= keptBuffer {
		b.bytes = b.bytes[:0]
		buffers.Put(b)
	}
}
