package index

import (
	"time"

	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// clock tells the store's time: milliseconds of CLOCK_MONOTONIC since the instant that the store's
// header names. It needs no help from the daemon, hence entries go on expiring at the right moment
// while the daemon is dead. A clock word in the store, kept by the daemon, would be cheaper to read
// and would stop with it.
type clock struct {
	shm.Clock
	base uint64 // CLOCK_MONOTONIC at store time 0, ns
}

func newClock(base uint64) (clock, error) {
	monotonic, err := shm.NewClock()
	return clock{monotonic, base}, err
}

// nowMs is the store's time.
func (c *clock) nowMs() uint64 {
	now := c.Now()
	if now < c.base {
		return 0 // only a base from the future, which no daemon writes
	}
	return (now - c.base) / 1e6
}

// Time converts store time to a time.Time that carries a monotonic reading. Times beyond 278 years
// are cut off there.
func (s *Store) Time(storeMs uint64) time.Time {
	const limit = 1 << 43
	return s.clock.Clock.Time(int64(min(storeMs, limit))*1e6 + int64(s.clock.base))
}
