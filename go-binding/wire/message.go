package wire

import (
	"encoding/binary"
	"fmt"
)

const (
	// DefaultTraversalWords is the traversal limit of a Message without Limits: 8 Mi words
	// (64 MiB), as in the C++ library.
	DefaultTraversalWords = 8 << 20
	// DefaultDepth is the nesting limit of a Message without Limits, as in the C++ library.
	DefaultDepth = 64
	// MaxSegments is the largest number of segments a framed message may have; the C++ library's
	// stream reader stops at the same number.
	MaxSegments = 512

	wordBytes = 8
	// maxSegmentWords is what the format's 29- and 30-bit fields can address.
	maxSegmentWords = 1<<29 - 1
)

var le = binary.LittleEndian

// Limits bounds the work that reading one message can cause, whatever its bytes say.
type Limits struct {
	// TraversalWords is how many 8-byte words may be traversed: following a pointer costs the
	// size of the object it leads to, each time it is followed, and at least one word per
	// element for lists whose elements have no size (so a small message cannot describe a huge
	// amount of work). Far pointers also cost their landing pads. 0 means
	// DefaultTraversalWords.
	TraversalWords uint64
	// Depth is how deeply structs and lists may nest, the root being the first level. 0 means
	// DefaultDepth; values above 65535 count as 65535.
	Depth int
}

// Message is one message being read: the segments and what is left of the limits. The zero value is
// ready for ReadFramed or ReadFlat and may be reused for any number of messages; each starts with
// fresh limits and no error. It keeps references to the given bytes, never copies of them. Do not
// copy a Message while handles from it are in use. Not safe for concurrent use.
type Message struct {
	// first is segment 0 and more the others: a single-segment message needs no slice of slices.
	first  []byte
	more   [][]byte
	budget uint64
	limits Limits
	err    error
	errAt  place
}

// SetLimits sets the limits of the messages read from now on.
func (m *Message) SetLimits(limits Limits) { m.limits = limits }

// ReadFlat starts reading the message that segment holds as a bare single segment, without a
// framing header. The segment may be longer than the message; its length must be a positive
// multiple of 8.
func (m *Message) ReadFlat(segment []byte) error {
	m.start(nil)
	if len(segment) == 0 || len(segment)%wordBytes != 0 || len(segment)/wordBytes > maxSegmentWords {
		m.err = ErrFrame
		return fmt.Errorf("flat segment of %d bytes: %w", len(segment), ErrFrame)
	}
	m.first = segment
	return nil
}

// ReadFramed starts reading the first message in b, which begins with the standard stream framing
// header (the segment count less one and the segment sizes in words, little-endian 32-bit numbers,
// padded to a word). It returns the bytes that follow the message. A message of more than one
// segment allocates a table for them unless the Message has one from an earlier message.
func (m *Message) ReadFramed(b []byte) (rest []byte, err error) {
	m.start(nil)
	rest, err = m.readFrame(b)
	if err != nil {
		m.start(ErrFrame)
	}
	return rest, err
}

func (m *Message) readFrame(b []byte) ([]byte, error) {
	if len(b) < wordBytes {
		return nil, fmt.Errorf("%d bytes, a frame has at least 8: %w", len(b), ErrFrame)
	}
	// As 64-bit numbers, so that neither the count nor the sums can overflow.
	count := uint64(le.Uint32(b)) + 1
	if count > MaxSegments {
		return nil, fmt.Errorf("%d segments, at most %d: %w", count, MaxSegments, ErrFrame)
	}
	header := (4 + 4*count + 7) &^ 7
	if uint64(len(b)) < header {
		return nil, fmt.Errorf("segment table of %d bytes in %d: %w", header, len(b), ErrFrame)
	}
	body := b[header:]
	for i := range count {
		words := le.Uint32(b[4+4*i:])
		size := uint64(words) * wordBytes
		if words > maxSegmentWords || size > uint64(len(body)) {
			return nil, fmt.Errorf("segment %d of %d words, %d bytes left: %w",
				i, words, len(body), ErrFrame)
		}
		segment := body[:size:size]
		body = body[size:]
		if i == 0 {
			m.first = segment
		} else {
			m.more = append(m.more, segment)
		}
	}
	return body, nil
}

// Err returns the first error that reading met since the message was started, with its position, or
// nil. It wraps one of the package's Err values.
func (m *Message) Err() error {
	if m.err == nil || m.err == ErrFrame {
		return m.err
	}
	return positioned{m.err, m.errAt}
}

// Root returns the message's root struct; the empty struct for a null root pointer.
func (m *Message) Root() Struct {
	if size := uint64(len(m.first)); !m.claim(size, 0, 1) {
		m.refuse(size, 0, 1, 0)
		return Struct{m: m}
	}
	return m.openStruct(0, m.depth())
}

// start forgets the previous message.
func (m *Message) start(err error) {
	m.first = nil
	clear(m.more)
	m.more = m.more[:0]
	m.budget = m.limits.TraversalWords
	if m.budget == 0 {
		m.budget = DefaultTraversalWords
	}
	m.err = err
}

func (m *Message) depth() uint16 {
	switch d := m.limits.Depth; {
	case d <= 0:
		return DefaultDepth
	case d > 65535:
		return 65535
	default:
		return uint16(d)
	}
}

// segment returns segment id; nil if there is none. Segment ids inside handles always exist.
func (m *Message) segment(id uint32) []byte {
	if id == 0 {
		return m.first
	}
	if uint64(id) > uint64(len(m.more)) {
		return nil
	}
	return m.more[id-1]
}

// word loads the word at p, a place inside a handle.
func (m *Message) word(p place) uint64 { return le.Uint64(m.segment(p.seg())[p.at():]) }

// fail records the first error. A nil Message belongs to the zero value of a handle.
func (m *Message) fail(err error, at place) {
	if m != nil && m.err == nil {
		m.err, m.errAt = err, at
	}
}
