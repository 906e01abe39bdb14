package hearth

import (
	"math/rand/v2"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/layout"
)

// SetOption says how an entry expires: of Set, SetAsync, Touch, Add, Replace, CompareAndSwap, Initial
// and GetOrLoad. It is a value and not a function, so that passing one allocates nothing. An option that
// an operation has no use for changes nothing, so one list can serve several.
type SetOption struct {
	kind   optionKind
	after  time.Duration
	jitter float64
	load   LoadFunc
}

type optionKind uint8

const (
	optionTTL optionKind = iota
	optionSoftTTL
	optionNegativeTTL
	optionNoExpiry
	optionJitter
	optionRefresh
)

// TTL is how long the entry is served. Without it the namespace's default applies. Rounded up to
// milliseconds; must be positive.
func TTL(d time.Duration) SetOption { return SetOption{kind: optionTTL, after: d} }

// SoftTTL is how long the entry is fresh; afterwards it is served as stale (Metadata.Stale) until its
// TTL ends. Not longer than the TTL.
func SoftTTL(d time.Duration) SetOption { return SetOption{kind: optionSoftTTL, after: d} }

// NoExpiry serves the entry until it is overwritten, deleted or evicted, whatever the default.
func NoExpiry() SetOption { return SetOption{kind: optionNoExpiry} }

// Jitter shortens the TTLs that are given with it, each entry's by a random part of at most fraction:
// TTL(time.Hour), Jitter(0.1) is between 54 and 60 minutes. Entries that were stored together then do
// not expire together. From 0 to 1; it does not change the namespace's defaults.
func Jitter(fraction float64) SetOption { return SetOption{kind: optionJitter, jitter: fraction} }

// ttls returns the protocol's hard and soft TTL.
func ttls(options []SetOption) (hard, soft uint64, ok bool) {
	hard, soft, _, ok = expiries(options)
	return hard, soft, ok
}

// expiries returns the protocol's hard, soft and negative TTL; a negative one of 0 is none.
func expiries(options []SetOption) (hard, soft, negative uint64, ok bool) {
	hard, soft = layout.TTLDefault, layout.TTLDefault
	part := 1.0
	for i := range options {
		o := &options[i]
		switch o.kind {
		case optionTTL:
			hard = milliseconds(o.after)
			ok = hard != 0
		case optionSoftTTL:
			soft = milliseconds(o.after)
			ok = soft != 0
		case optionNegativeTTL:
			negative = milliseconds(o.after)
			ok = negative != 0
		case optionNoExpiry:
			hard, ok = layout.TTLNever, true
			if soft == layout.TTLDefault {
				soft = layout.TTLNever
			}
		case optionJitter:
			// Not true of NaN.
			ok = o.jitter >= 0 && o.jitter <= 1
			part = 1 - o.jitter*rand.Float64()
		default:
			ok = true
		}
		if !ok {
			return 0, 0, 0, false
		}
	}
	hard, soft, negative = shortened(hard, part), shortened(soft, part), shortened(negative, part)
	return hard, soft, negative, soft == layout.TTLNever || soft <= hard || hard == layout.TTLDefault
}

// milliseconds rounds up; 0 for what is not positive.
func milliseconds(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return uint64((d-1)/time.Millisecond) + 1
}

func shortened(ms uint64, part float64) uint64 {
	if ms == layout.TTLDefault || ms == layout.TTLNever || part == 1 {
		return ms
	}
	return max(uint64(float64(ms)*part), 1)
}
