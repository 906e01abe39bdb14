package index

import (
	"time"

	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// clock tells the store's time: milliseconds of CLOCK_MONOTONIC since the instant that the store's
// header names.
//
// It samples CLOCK_MONOTONIC and Go's own clock once, and from then on only asks Go. Go's monotonic
// clock on Linux is CLOCK_MONOTONIC read through the vDSO, so the difference between the two stays
// constant: no drift, no system call, about 25 ns, and nobody can step it. It needs no help from
// the daemon, hence entries go on expiring at the right moment while the daemon is dead. A clock
// word in the store, kept by the daemon, would be cheaper to read and would stop with it.
type clock struct {
	started time.Time // carries Go's monotonic reading
	sampled uint64    // CLOCK_MONOTONIC at started, ns
	base    uint64    // CLOCK_MONOTONIC at store time 0, ns
}

func newClock(base uint64) (clock, error) {
	c := clock{base: base}
	best := time.Duration(1 << 62)
	for range 4 { // of several samples the one with the least time between the two readings
		before := time.Now()
		now, err := shm.Monotonic()
		if err != nil {
			return clock{}, err
		}
		if took := time.Since(before); took < best {
			best, c.started, c.sampled = took, before, now
		}
	}
	return c, nil
}

func (c *clock) monotonic() uint64 { return c.sampled + uint64(time.Since(c.started)) }

// nowMs is the store's time.
func (c *clock) nowMs() uint64 {
	now := c.monotonic()
	if now < c.base {
		return 0 // only a base from the future, which no daemon writes
	}
	return (now - c.base) / 1e6
}

// Time converts store time to a time.Time that carries a monotonic reading, so that time.Until is
// right whatever happens to the wall clock. Times beyond 292 years are cut off there.
func (s *Store) Time(storeMs uint64) time.Time {
	c := &s.clock
	const limit = 1 << 43
	sinceStart := int64(min(storeMs, limit))*1e6 - int64(c.sampled-c.base)
	return c.started.Add(time.Duration(sinceStart))
}
