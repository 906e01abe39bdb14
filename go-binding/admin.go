package hearth

import (
	"context"
	"strings"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/control"
)

// NamespaceSettings is what a namespace is created with. The zero value is a namespace like those that
// hearthd's configuration declares without further keys.
type NamespaceSettings struct {
	// TTL and SoftTTL are of entries that are set without one; 0 for none. Rounded up to milliseconds.
	TTL, SoftTTL time.Duration
	// QuotaMin is what other namespaces cannot take from it, QuotaMax what it can have at most, in bytes;
	// 0 for nothing, and for the whole store. Both count in whole segments.
	QuotaMin, QuotaMax uint64
	// RefuseWhenFull makes writes fail with ErrStoreFull where else old entries make way.
	RefuseWhenFull bool
	// Strict makes reads miss while hearthd does not run.
	Strict bool
	// TinyLFU keeps part of what is read in loops larger than the namespace, and takes up new favourites
	// more slowly; not with RefuseWhenFull.
	TinyLFU bool
}

// NamespaceChange says which settings of a namespace change, and to what; nil leaves one as it is.
type NamespaceChange struct {
	TTL, SoftTTL           *time.Duration
	QuotaMin, QuotaMax     *uint64
	RefuseWhenFull, Strict *bool
	TinyLFU                *bool
}

// CreateNamespace makes a namespace, which lives until it is dropped or hearthd starts with an empty
// store, and opens it. hearthd's policy lets administrators do this.
//
// Errors, as *Error: ErrExists, ErrPermission, ErrStoreFull where there is no room for another one or
// for what QuotaMin promises, ErrNotRunning, ErrClosed, ctx's; with Code InvalidArgument for a name or
// settings that make no sense.
func (c *Client) CreateNamespace(ctx context.Context, name string, settings NamespaceSettings) (*Namespace, error) {
	wire, err := wireSettings(ctx, "create namespace", name, settings)
	if err != nil {
		return nil, err
	}
	if err := c.control.CreateNamespace(ctx, &wire); err != nil {
		return nil, c.adminError(ctx, "create namespace", name, err)
	}
	return c.NamespaceContext(ctx, name)
}

// AlterNamespace changes settings of a namespace. Entries that are there keep their expiries. With a
// smaller quota than it uses, a namespace shrinks as it is written to. hearthd's policy lets
// administrators do this.
//
// Errors: ErrUnknownNamespace, and those of [Client.CreateNamespace].
func (c *Client) AlterNamespace(ctx context.Context, name string, change NamespaceChange) error {
	var settings NamespaceSettings
	var fields uint32
	set(&settings.TTL, change.TTL, &fields, control.FieldHardTTL)
	set(&settings.SoftTTL, change.SoftTTL, &fields, control.FieldSoftTTL)
	set(&settings.QuotaMin, change.QuotaMin, &fields, control.FieldQuotaMin)
	set(&settings.QuotaMax, change.QuotaMax, &fields, control.FieldQuotaMax)
	set(&settings.RefuseWhenFull, change.RefuseWhenFull, &fields, control.FieldRefuseWhenFull)
	set(&settings.Strict, change.Strict, &fields, control.FieldStrict)
	set(&settings.TinyLFU, change.TinyLFU, &fields, control.FieldTinyLFU)
	wire, err := wireSettings(ctx, "alter namespace", name, settings)
	if err == nil {
		if err = c.control.AlterNamespace(ctx, &wire, fields); err != nil {
			err = c.adminError(ctx, "alter namespace", name, err)
		}
	}
	return err
}

func set[T any](to *T, from *T, fields *uint32, field uint32) {
	if from != nil {
		*to = *from
		*fields |= field
	}
}

// DropNamespace removes a namespace with everything in it. From then on its reads miss, in every
// process, and its writes fail with ErrUnknownNamespace, also when there is a namespace of the same
// name again: that one has to be opened anew. hearthd's policy lets administrators do this.
//
// Errors, as *Error: ErrUnknownNamespace, ErrPermission, ErrNotRunning, ErrClosed, ctx's.
func (c *Client) DropNamespace(ctx context.Context, name string) error {
	if err := c.control.DropNamespace(ctx, name); err != nil {
		return c.adminError(ctx, "drop namespace", name, err)
	}
	return nil
}

// Flush removes everything that was written to the namespace before, in one step for all readers. It
// takes the right to write. Of writes that have not returned yet, also those of SetAsync, some may be
// removed and others not.
//
// Errors, as *Error: ErrUnknownNamespace, ErrPermission, ErrNotRunning, ErrClosed, ctx's. After a
// failure that is none of hearthd's answers it may have been flushed.
func (n *Namespace) Flush(ctx context.Context) error {
	const op = "flush namespace"
	if !n.store.Live(&n.view) && !n.client.closed.Load() {
		return &Error{Op: op, Name: n.name, Code: CodeNotFound, sentinel: ErrUnknownNamespace,
			Message: "the namespace was dropped", TraceID: traceOf(ctx).TraceID}
	}
	if err := n.client.control.FlushNamespace(ctx, n.name); err != nil {
		return n.client.adminError(ctx, op, n.name, err)
	}
	return nil
}

func wireSettings(ctx context.Context, op, name string, s NamespaceSettings) (control.NamespaceSettings, error) {
	if s.TTL < 0 || s.SoftTTL < 0 {
		return control.NamespaceSettings{}, &Error{Op: op, Name: strings.Clone(name), Code: CodeInvalidArgument,
			sentinel: ErrInvalidTTL, Message: "a TTL is not negative", TraceID: traceOf(ctx).TraceID}
	}
	return control.NamespaceSettings{Name: name, HardTTLMs: milliseconds(s.TTL), SoftTTLMs: milliseconds(s.SoftTTL),
		QuotaMinBytes: s.QuotaMin, QuotaMaxBytes: s.QuotaMax, RefuseWhenFull: s.RefuseWhenFull, Strict: s.Strict,
		TinyLFU: s.TinyLFU}, nil
}

// adminError adds to nameError what only changes of namespaces fail with.
func (c *Client) adminError(ctx context.Context, op, name string, err error) error {
	failed := c.nameError(ctx, op, name, ErrUnknownNamespace, err).(*Error)
	switch failed.Code {
	case CodeAlreadyExists:
		failed.sentinel = ErrExists
	case CodeResourceExhausted:
		failed.sentinel = ErrStoreFull
	}
	if !stated(err) {
		failed.Execution = Maybe
	}
	return failed
}
