package hearth

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"sync"

	"github.com/hearthd/hearth/go-binding/wire"
)

// Codec turns values into the bytes that are stored, and back. It must be safe for concurrent use.
// Processes that share keys need codecs that understand each other.
type Codec[T any] interface {
	// Append appends the value to dst, of which it keeps nothing.
	Append(dst []byte, value T) ([]byte, error)
	// Decode returns the value of data, of which the value must keep nothing.
	Decode(data []byte) (T, error)
}

// JSON keeps values as encoding/json writes them.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Append(dst []byte, value T) ([]byte, error) {
	data, err := json.Marshal(value)
	return append(dst, data...), err
}

func (jsonCodec[T]) Decode(data []byte) (value T, err error) {
	err = json.Unmarshal(data, &value)
	return value, err
}

// Gob keeps values as encoding/gob writes them, each with the description of its type.
func Gob[T any]() Codec[T] { return gobCodec[T]{} }

type gobCodec[T any] struct{}

type appender struct{ bytes []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}

func (gobCodec[T]) Append(dst []byte, value T) ([]byte, error) {
	a := appender{dst}
	err := gob.NewEncoder(&a).Encode(&value)
	return a.bytes, err
}

func (gobCodec[T]) Decode(data []byte) (value T, err error) {
	err = gob.NewDecoder(bytes.NewReader(data)).Decode(&value)
	return value, err
}

// Bytes keeps bytes as they are. A decoded slice is the caller's own; [Namespace.GetAppend] saves that
// allocation.
func Bytes() Codec[[]byte] { return bytesCodec{} }

type bytesCodec struct{}

func (bytesCodec) Append(dst, value []byte) ([]byte, error) { return append(dst, value...), nil }
func (bytesCodec) Decode(data []byte) ([]byte, error)       { return append([]byte{}, data...), nil }

// String keeps strings as they are.
func String() Codec[string] { return stringCodec{} }

type stringCodec struct{}

func (stringCodec) Append(dst []byte, value string) ([]byte, error) {
	return append(dst, value...), nil
}
func (stringCodec) Decode(data []byte) (string, error) { return string(data), nil }

// CapnProto keeps values as framed Cap'n Proto messages, by the accessors that capnpc-hearth-go
// generates. build writes a value into a message, for instance with NewRootUser; read returns the value
// of one, for instance with RootUser, and keeps no view of the message, whose memory is used again. Both
// need not look at errors of the message: Append and Decode do.
//
//	users := hearth.NewTyped(ns, hearth.CapnProto(
//		func(b *wire.Builder, u User) { NewRootUser(b).SetName(u.Name) },
//		func(m *wire.Message) (User, error) { return User{Name: RootUser(m).Name()}, nil }))
//
// To read messages in place, use [Namespace.GetAppend] and a wire.Message of your own.
func CapnProto[T any](build func(*wire.Builder, T), read func(*wire.Message) (T, error)) Codec[T] {
	return &capnCodec[T]{build: build, read: read}
}

type capnCodec[T any] struct {
	build    func(*wire.Builder, T)
	read     func(*wire.Message) (T, error)
	builders sync.Pool
	messages sync.Pool
}

func (c *capnCodec[T]) Append(dst []byte, value T) ([]byte, error) {
	b, _ := c.builders.Get().(*wire.Builder)
	if b == nil {
		b = new(wire.Builder)
	}
	defer c.builders.Put(b)
	// Into the room behind dst, if there is some: then nothing needs to be copied.
	room := dst[len(dst):]
	b.ResetFramed(room, 0)
	c.build(b, value)
	message, err := b.Bytes()
	*b = wire.Builder{} // the pool keeps no memory of the caller's
	if err != nil {
		return dst, err
	}
	if cap(room) > 0 && len(message) <= cap(room) && &message[0] == &room[:1][0] {
		return dst[:len(dst)+len(message)], nil
	}
	return append(dst, message...), nil
}

func (c *capnCodec[T]) Decode(data []byte) (value T, err error) {
	m, _ := c.messages.Get().(*wire.Message)
	if m == nil {
		m = new(wire.Message)
	}
	defer c.messages.Put(m)
	if _, err = m.ReadFramed(data); err != nil {
		return value, err
	}
	if value, err = c.read(m); err == nil {
		err = m.Err()
	}
	*m = wire.Message{} // likewise
	return value, err
}
