package shm

import (
	"sync"
	"time"
)

// Pause executes n spin-loop hints. It is assembly, hence not preemptible: keep n below a
// microsecond's worth (PausesPer) and return to Go between bursts.
func Pause(n uint32) { pause(n) }

// PausesPer is the number of pauses that take about d on this CPU, at least 1. It is measured once
// per process, in about 100 microseconds.
func PausesPer(d time.Duration) uint32 {
	perPause := picosPerPause()
	return uint32(max(1, uint64(d)*1000/perPause))
}

var picosPerPause = sync.OnceValue(func() uint64 {
	const pauses = 200
	best := time.Duration(1 << 62)
	for range 8 { // the minimum: everything that disturbs a measurement only adds time
		start := time.Now()
		pause(pauses)
		best = min(best, time.Since(start))
	}
	return max(1, uint64(best)*1000/pauses)
})
