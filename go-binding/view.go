package hearth

import (
	"context"
	"errors"
	"runtime"

	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

// ErrRevoked: hearthd took the memory of a [View] back before it was released. What was read from it
// may have been anything.
var ErrRevoked = errors.New("hearth: the view was revoked while it was in use")

// View is a value used where it lies, in memory shared with hearthd, instead of a copy. Get one with
// [Namespace.View], and Release it as soon as it is no longer needed: until then hearthd cannot reuse
// the memory around it, a whole segment of the store.
//
//	view, err := users.View("42")
//	if err != nil { ... }
//	checksum := crc32.ChecksumIEEE(view.Bytes())
//	if err := view.Release(); err != nil { ... } // checksum is worthless: read again
//
// hearthd waits for views, but not for ever: when it has wanted the memory for longer than its pin_max
// (1 second unless configured), or when more than a twentieth of the store waits, it takes it. Then the
// bytes change while they are looked at. No access faults and nothing panics, but a conclusion drawn
// from them counts only if Release returns nil afterwards. A view that is held while its memory is not
// wanted stays good for as long as it likes.
//
// A View is a plain value; the zero View is empty and released. It is not safe for concurrent use, but
// its bytes may be read by any number of goroutines before Release. Copies of a View share one claim:
// release one of them. A second Release harms nobody, whatever the record is used for by then.
type View struct {
	held  index.Held
	copy  []byte // the value, if it could not be pinned
	meta  index.Meta
	store *index.Store
	pins  *session.Pins // nil without a pin
	claim session.Claim
}

// View looks key up as GetAppend does and returns its value in place, whatever its size, without an
// allocation and without waiting for anybody. A session can hold as many views as hearthd has given it
// pins, 64; beyond that, and when the key is overwritten too fast to be pinned, the View has a copy of
// the value, which it allocates.
//
// Errors: those of GetAppend.
func (n *Namespace) View(key string) (view View, err error) {
	if n.pending.Any() || len(key)-1 >= layout.MaxKeyBytes || len(key) == 0 {
		if n.client.closed.Load() || len(key)-1 >= layout.MaxKeyBytes || len(key) == 0 {
			_, _, err = n.notHit(context.Background(), nil, key, noLookup, &view.meta)
			return view, err
		}
		if n.pending.Has(n.store.Hash(&n.view, key)) {
			return n.viewOfCopy(key)
		}
	}
	pins := n.client.session.Pins()
	claim, ok := pins.Take(&view.held, 1)
	if !ok {
		return n.viewOfCopy(key)
	}
	switch n.store.View(&n.view, key, n.store.Hash(&n.view, key), &view.held, &view.meta) {
	case index.Hit:
		view.store, view.pins, view.claim = n.store, pins, claim
		if view.meta.Wanting() {
			n.touches.Note(&view.meta)
		}
		return view, nil
	case index.Miss:
		pins.Cancel(claim)
		return View{}, ErrNotFound
	}
	pins.Cancel(claim)
	return n.viewOfCopy(key)
}

func (n *Namespace) viewOfCopy(key string) (view View, err error) {
	value, result := n.lookup([]byte{}, key, &view.meta)
	if result == unsettled {
		value, result = n.settle(context.Background(), value, key, &view.meta)
	}
	if result == index.Hit && view.meta.Wanting() {
		n.touches.Note(&view.meta)
	}
	if result == index.Contended {
		ctx, cancel := context.WithTimeout(context.Background(), fallbackTimeout)
		defer cancel()
		value, view.meta, err = n.askRaw(ctx, value, key)
	} else if result != index.Hit {
		_, _, err = n.notHit(context.Background(), nil, key, result, &view.meta)
	}
	if err != nil {
		return View{}, err
	}
	view.copy, view.store = value, n.store
	return view, nil
}

// Bytes is the value. It must not be written to, which would end the process, and must not be used
// after Release; whoever keeps the View itself until then keeps the memory mapped, also when the
// Client is closed. After Release it is nil.
func (v *View) Bytes() []byte {
	if v.pins == nil {
		return v.copy
	}
	return v.held.Bytes()
}

// Metadata is what the entry says about itself.
func (v *View) Metadata() Metadata {
	if v.store == nil {
		return Metadata{}
	}
	return metadataOf(v.store, &v.meta)
}

// Valid says whether everything that was read from Bytes so far was the value, and costs two
// nanoseconds: for those who want to know before they go on. It says nothing about what is read later.
func (v *View) Valid() bool {
	switch {
	case v.store == nil:
		return false
	case v.pins == nil:
		return true
	}
	valid := v.held.Valid()
	runtime.KeepAlive(v.pins)
	return valid
}

// Release gives the memory back. It returns nil if everything that was read from Bytes was the value,
// and ErrRevoked if hearthd took the memory before; then nothing that was read may be relied on. A
// closed Client's views are revoked as soon as their memory is wanted. A View that was released before
// returns nil.
func (v *View) Release() error {
	if v.pins == nil {
		*v = View{}
		return nil
	}
	valid := v.pins.Give(v.claim, &v.held)
	runtime.KeepAlive(v.store)
	*v = View{}
	if !valid {
		return ErrRevoked
	}
	return nil
}

// HeldViews is how many views of this client have not been released, but for those with a copy. See
// hearthtest.CheckViews for tests that want to know of leaks.
func (c *Client) HeldViews() int { return c.session.Pins().InUse() }

// ViewPlaces says where the views were made that have not been released: one call stack for each. It
// is empty without [WithViewTrace].
func (c *Client) ViewPlaces() []string { return c.session.Pins().Places() }
