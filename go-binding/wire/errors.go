package wire

import (
	"errors"
	"fmt"
)

// The errors of this package. Message.Err and Builder.Bytes wrap them; compare with errors.Is.
var (
	// ErrFrame: the framing header is cut off, claims more than the input holds, or names more
	// than MaxSegments segments; or a flat segment is empty or not a whole number of words.
	ErrFrame = errors.New("malformed message frame")
	// ErrBounds: a pointer leads outside its segment or to a segment that is not there.
	ErrBounds = errors.New("pointer out of bounds")
	// ErrPointer: a pointer is not of the kind the schema says (struct, list, element size),
	// or a far pointer leads to something that is not a landing pad.
	ErrPointer = errors.New("pointer of the wrong kind")
	// ErrText: a text is not terminated by a zero byte.
	ErrText = errors.New("text without terminating zero")
	// ErrTraversal: the traversal limit is used up; see Limits.
	ErrTraversal = errors.New("traversal limit exceeded")
	// ErrDepth: the message is nested deeper than Limits.Depth, or contains a cycle.
	ErrDepth = errors.New("nesting limit exceeded")
	// ErrInactive: a getter was called for a union member that is not the one set.
	ErrInactive = errors.New("union member is not set")
	// ErrIndex: a list index was negative or not less than the list's length.
	ErrIndex = errors.New("list index out of range")
	// ErrTooLarge: the message being built does not fit into the Builder's size limit, or a list
	// length is negative or beyond what the format can express (2^29 - 1 elements).
	ErrTooLarge = errors.New("message too large")
	// ErrNotReset: a Builder was used before ResetFramed or ResetFlat.
	ErrNotReset = errors.New("builder used before a reset")
)

// positioned says where in a message an error was met. It is built only when asked for, so that
// recording an error costs nothing.
type positioned struct {
	err error
	at  place
}

func (p positioned) Error() string {
	return fmt.Sprintf("segment %d, word %d: %v", p.at.seg(), p.at.at()/wordBytes, p.err)
}

func (p positioned) Unwrap() error { return p.err }
