package hearth

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The errors to compare with errors.Is. Those of operations come inside an [*Error], except for
// ErrNotFound, ErrExists and ErrVersionMismatch, which are returned as they are because they are what
// an operation has found: everyday outcomes, which must cost nothing.
var (
	// ErrNotFound: the key does not exist, or has expired.
	ErrNotFound = errors.New("hearth: no such key")
	// ErrExists: the key of an Add is there, or the namespace that was to be created.
	ErrExists = errors.New("hearth: the key exists")
	// ErrVersionMismatch: the entry has another version than CompareAndSwap was told to expect.
	ErrVersionMismatch = errors.New("hearth: the entry has another version")
	// ErrNotCounter: the value is not a decimal number of 64 bits, and cannot be incremented.
	ErrNotCounter = errors.New("hearth: the value is not a counter")
	// ErrCounterRange: the counter would leave the range of an int64.
	ErrCounterRange = errors.New("hearth: the counter is at its limit")
	// ErrNotRunning: hearthd cannot be reached, does not answer, or the session with it is over.
	ErrNotRunning = errors.New("hearth: hearthd is not running")
	// ErrPermission: hearthd's policy, or the permissions of its socket, refuse this user.
	ErrPermission = errors.New("hearth: permission denied")
	// ErrInvalidKey: a key has 1 to 1024 bytes.
	ErrInvalidKey = errors.New("hearth: a key has 1 to 1024 bytes")
	// ErrInvalidTTL: a TTL is positive, and a soft one is not longer than the hard one.
	ErrInvalidTTL = errors.New("hearth: invalid TTL")
	// ErrInvalidCursor: the text is no cursor of a scan, or one of another store or namespace.
	ErrInvalidCursor = errors.New("hearth: not a cursor of this namespace")
	// ErrValueTooLarge: the value is longer than Namespace.MaxValueBytes, or a message than hearthd takes.
	ErrValueTooLarge = errors.New("hearth: the value is too large")
	// ErrUnknownNamespace: hearthd has no such namespace, or no longer.
	ErrUnknownNamespace = errors.New("hearth: no such namespace")
	// ErrUnknownStore: hearthd has no such store.
	ErrUnknownStore = errors.New("hearth: no such store")
	// ErrUnknownMethod: hearthd has no such method.
	ErrUnknownMethod = errors.New("hearth: no such method")
	// ErrStoreFull: the namespace or the store is full and does not evict, or hearthd is at a limit.
	// [Error.RetryAfter] says whether waiting helps.
	ErrStoreFull = errors.New("hearth: no room")
	// ErrOverloaded: a Call or Dial met a limit of hearthd or of the method; it says nothing about the store.
	// [Error.RetryAfter] says whether waiting helps.
	ErrOverloaded = errors.New("hearth: at a limit")
	// ErrIncompatible: hearthd speaks another version; [*IncompatibleError] has both.
	ErrIncompatible = errors.New("hearth: client and hearthd are of incompatible versions")
	// ErrSocketPath: the path is longer than the 107 bytes a Unix socket can have.
	ErrSocketPath = errors.New("hearth: the socket path is too long")
	// ErrNotHearth: what is at the path is no socket, or something else answers on it.
	ErrNotHearth = errors.New("hearth: what is at the socket's path is not hearthd")
	// ErrLoadPanic: another goroutine was loading the key for a GetOrLoad, and its loader has panicked.
	ErrLoadPanic = errors.New("hearth: the loader has panicked")
	// ErrCodec: the codec of a [Typed] could not encode a value, or not decode what is stored.
	ErrCodec = errors.New("hearth: the codec has failed")
	// ErrClosed: the Client was closed.
	ErrClosed = errors.New("hearth: the client is closed")
)

// Code is one of gRPC's canonical codes, by which every failed operation is classified.
type Code uint16

// The codes that Hearth uses.
const (
	CodeCancelled          Code = 1
	CodeInvalidArgument    Code = 3
	CodeDeadlineExceeded   Code = 4
	CodeNotFound           Code = 5
	CodeAlreadyExists      Code = 6
	CodePermissionDenied   Code = 7
	CodeResourceExhausted  Code = 8
	CodeFailedPrecondition Code = 9
	CodeAborted            Code = 10
	CodeOutOfRange         Code = 11
	CodeUnimplemented      Code = 12
	CodeInternal           Code = 13
	CodeUnavailable        Code = 14
)

var codeNames = []string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
	"OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

// String is gRPC's name of the code.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("CODE_%d", uint16(c))
}

// Execution says whether a failed operation may have had its effect.
type Execution uint8

const (
	// NotStarted: certainly not. It is safe to try again.
	NotStarted Execution = 0
	// Maybe: nobody knows. Set, Delete, Touch, Add, Replace and CompareAndSwap may be repeated, but not
	// Increment, Decrement and Append, which could take effect twice; a Call only if it is idempotent.
	Maybe Execution = 1
	// Done: it was executed, and this is its outcome.
	Done Execution = 2
)

// String returns "not started", "maybe" or "done".
func (e Execution) String() string {
	switch e {
	case NotStarted:
		return "not started"
	case Done:
		return "done"
	}
	return "maybe"
}

// Error is a failed operation. Get one with errors.As.
type Error struct {
	// Op is "get", "set", "delete", "touch", "add", "replace", "compare and swap", "increment",
	// "decrement", "append", "load", "call", "flush", "open namespace", "create namespace", "alter namespace",
	// "drop namespace", "flush namespace", "open method" or "dial".
	Op string
	// Name is the key, the method, the namespace or the socket. It is not part of Error(), because keys
	// can be personal and errors end in logs.
	Name string
	Code Code
	// Message is for people.
	Message string
	// Execution says whether it is safe to try again.
	Execution Execution
	// RetryAfter is positive where waiting that long may help.
	RetryAfter time.Duration
	// TraceID is the one the operation was sent with, zero without [WithTrace].
	TraceID [16]byte

	sentinel error // one of the above
	cause    error
}

// Error is "hearth: set: RESOURCE_EXHAUSTED: namespace 'x' is full (not started)".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "hearth: %s: %s", e.Op, e.Code)
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	fmt.Fprintf(&b, " (%s)", e.Execution)
	if e.TraceID != [16]byte{} {
		fmt.Fprintf(&b, " [trace %x]", e.TraceID)
	}
	return b.String()
}

// Unwrap returns the sentinel, such as ErrNotRunning, and the cause, such as context.Canceled.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.sentinel != nil {
		errs = append(errs, e.sentinel)
	}
	if e.cause != nil {
		errs = append(errs, e.cause)
	}
	return errs
}

// IncompatibleError says what differs between this client and hearthd.
type IncompatibleError struct {
	// Subject is "protocol", "storeLayout" or "sessionLayout".
	Subject string
	// Client and Server are both versions, for people: "layout 1 (6f6b1e2a00112233)".
	Client, Server string
}

func (e *IncompatibleError) Error() string {
	return fmt.Sprintf("hearth: incompatible %s: this client has %s, hearthd %s", e.Subject, e.Client, e.Server)
}

// Is makes errors.Is(err, ErrIncompatible) true.
func (e *IncompatibleError) Is(target error) bool { return target == ErrIncompatible }

// FlushError is what [Client.Flush] returns when asynchronous writes failed.
type FlushError struct {
	// Failed is how many failed since the last Flush.
	Failed uint64
	// Errors are the first of them, at most 64, each an *Error with the key as Name.
	Errors []error
}

func (e *FlushError) Error() string {
	return fmt.Sprintf("hearth: flush: %d asynchronous writes failed; the first: %v", e.Failed, e.Errors[0])
}

// Unwrap lets errors.Is and errors.As look at every error.
func (e *FlushError) Unwrap() []error { return e.Errors }
