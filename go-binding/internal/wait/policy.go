package wait

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/shm"
)

const (
	// Bound is the longest spin: about what it costs to be woken up. Spinning until then and
	// sleeping afterwards never takes more than twice the time of the better of the two.
	Bound = 50 * time.Microsecond
	// burst is how long a spinner pauses between two looks at the ring.
	burst = 40 * time.Nanosecond
)

// Policy decides whether a caller spins, from how long recent calls took. It keeps two estimates:
// for calls that found the server awake, which take about a microsecond, and for calls that had to
// ring it, which take as long as a wake-up. One alone would make the first call after a pause
// forbid spinning to the next thousand. Safe for concurrent use; updates may be lost, which only
// makes an estimate a little older.
type Policy struct {
	estimates [2]atomic.Uint64 // bursts until completion, times weight
	pauses    uint32           // per burst
	bursts    uint64           // in Bound
	single    atomic.Bool      // one processor: whoever spins keeps the answer from arriving
}

// weight is the inverse of the share a new observation has in an estimate.
const weight = 8

// NewPolicy calibrates the CPU's pause instruction and returns a policy that starts by spinning.
func NewPolicy() *Policy {
	p := &Policy{pauses: shm.PausesPer(burst)}
	perBurst := max(burst, time.Duration(1000*uint64(p.pauses)/uint64(shm.PausesPer(time.Microsecond)))*time.Nanosecond)
	p.bursts = uint64(Bound / perBurst)
	p.Refresh()
	return p
}

// Refresh looks at GOMAXPROCS again. That takes the scheduler's lock, so it is for slow paths.
func (p *Policy) Refresh() { p.single.Store(runtime.GOMAXPROCS(0) == 1) }

func class(rang bool) int {
	if rang {
		return 1
	}
	return 0
}

// Budget is the number of bursts to spin at most; 0 means to sleep at once. rang says that the
// server had to be woken.
func (p *Policy) Budget(rang bool) uint64 {
	if p.single.Load() || p.estimates[class(rang)].Load() > p.bursts*weight {
		return 0
	}
	return p.bursts
}

// Burst pauses for about 40 ns.
func (p *Policy) Burst() { shm.Pause(p.pauses) }

// Completed reports a call that completed after that many bursts of spinning.
func (p *Policy) Completed(rang bool, bursts uint64) {
	e := &p.estimates[class(rang)]
	old := e.Load()
	if next := old - old/weight + bursts; next != old {
		e.Store(next)
	}
}

// TooSlow reports a call that was not complete when its budget was used up. A few of them in a row
// end spinning.
func (p *Policy) TooSlow(rang bool) { p.Completed(rang, 3*p.bursts) }

// Slept reports a call that slept without spinning. The estimate decays, so that about one call in
// twenty tries again whether spinning pays.
func (p *Policy) Slept(rang bool) {
	e := &p.estimates[class(rang)]
	old := e.Load()
	e.Store(old - old/64)
}
