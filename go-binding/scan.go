package hearth

import (
	"errors"
	"iter"
	"strings"

	"github.com/hearthd/hearth/go-binding/internal/index"
)

// Scanner goes through the keys of a namespace. Get one with [Namespace.Scanner]:
//
//	scan, err := users.Scanner(hearth.Prefix("session:"))
//	if err != nil { ... }
//	for scan.Next() {
//		use(scan.Key(), scan.Value(), scan.Metadata())
//	}
//	if err := scan.Err(); err != nil { ... }
//
// It reads shared memory on the caller's own goroutine, as GetAppend does: hearthd notices nothing, and
// need not run. Keys come in no useful order. A key that is there from the first Next to the last one is
// returned, whatever happens to it and to others meanwhile; usually once, and rarely twice, when the
// index grows under it. A key that comes or goes is returned or not. Each entry was as it is returned
// at some moment during its Next; there is no snapshot over several, and what is not visible to GetAppend is
// not returned.
//
// A Scanner holds one entry at a time. It is not safe for concurrent use.
type Scanner struct {
	namespace *Namespace
	scan      *index.Scanner
	err       error
}

// ScanOption configures a scan.
type ScanOption func(*scanConfig)

type scanConfig struct {
	prefix, cursor string
	keysOnly       bool
}

// Prefix restricts a scan to the keys that begin with it.
func Prefix(prefix string) ScanOption { return func(c *scanConfig) { c.prefix = prefix } }

// KeysOnly leaves out the values, which are then not copied.
func KeysOnly() ScanOption { return func(c *scanConfig) { c.keysOnly = true } }

// FromCursor goes on where [Scanner.Cursor] was called, perhaps by another process. The prefix should
// be the same. "" begins at the beginning.
func FromCursor(cursor string) ScanOption { return func(c *scanConfig) { c.cursor = cursor } }

// Scanner begins a scan.
//
// Errors: ErrInvalidCursor for what is no cursor, or one of another store or namespace, as after hearthd
// has created the store anew; ErrUnknownNamespace if the namespace was dropped; ErrClosed.
func (n *Namespace) Scanner(options ...ScanOption) (*Scanner, error) {
	var c scanConfig
	for _, option := range options {
		option(&c)
	}
	if n.client.closed.Load() {
		return nil, ErrClosed
	}
	var scan *index.Scanner
	var err error
	if c.cursor == "" {
		scan, err = n.store.Scan(&n.view)
	} else {
		scan, err = n.store.ScanFrom(&n.view, c.cursor)
	}
	if err != nil {
		return nil, n.scanError(err)
	}
	scan.Prefix, scan.KeysOnly = strings.Clone(c.prefix), c.keysOnly
	return &Scanner{namespace: n, scan: scan}, nil
}

func (n *Namespace) scanError(err error) error {
	e := &Error{Op: "scan", Name: n.name, Code: CodeInvalidArgument, Execution: NotStarted, sentinel: ErrInvalidCursor,
		Message: err.Error()}
	switch {
	case errors.Is(err, index.ErrForeignCursor):
		e.Code = CodeFailedPrecondition
	case errors.Is(err, index.ErrDropped):
		e.Code, e.sentinel = CodeNotFound, ErrUnknownNamespace
	case errors.Is(err, index.ErrUnsteady):
		e.Code, e.sentinel = CodeUnavailable, nil
	}
	return e
}

// Next goes to the next entry; false at the end and after an error.
func (s *Scanner) Next() bool {
	if s.namespace.client.closed.Load() {
		s.err = ErrClosed
		return false
	}
	more, err := s.scan.Next()
	s.err = nil
	if err != nil {
		s.err = s.namespace.scanError(err)
	}
	return more && err == nil
}

// Err is why Next returned false: nil at the end of the namespace; ErrUnknownNamespace if it was dropped
// meanwhile; ErrClosed; CodeUnavailable if an entry changed under a thousand tries to read it, after
// which Next goes on.
func (s *Scanner) Err() error { return s.err }

// Key is the entry's key.
func (s *Scanner) Key() string { return string(s.scan.Key) }

// Value is the entry's value, until the next call of Next; empty with KeysOnly.
func (s *Scanner) Value() []byte { return s.scan.Value }

// ValueLength is the length of the value, also with KeysOnly.
func (s *Scanner) ValueLength() uint64 { return s.scan.ValueLength }

// Metadata is what the entry says about itself.
func (s *Scanner) Metadata() Metadata { return metadataOf(s.namespace.store, &s.scan.Meta) }

// Cursor is where a later scan goes on behind the present entry, as printable text: [FromCursor].
func (s *Scanner) Cursor() string { return s.scan.Cursor() }

// Scan is the scan as an iterator over the entries, each with a nil error, or an entry of nothing with the
// error that ends it. The Scanner is the same each time: what it returns is good until the next turn.
//
//	for entry, err := range users.Scan(hearth.Prefix("session:")) {
//		if err != nil { ... }
//		use(entry.Key(), entry.Value())
//	}
func (n *Namespace) Scan(options ...ScanOption) iter.Seq2[*Scanner, error] {
	return func(yield func(*Scanner, error) bool) {
		scan, err := n.Scanner(options...)
		if err != nil {
			yield(nil, err)
			return
		}
		for scan.Next() {
			if !yield(scan, nil) {
				return
			}
		}
		if scan.Err() != nil {
			yield(nil, scan.Err())
		}
	}
}
