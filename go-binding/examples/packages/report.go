package main

import (
	"fmt"
	"io"
	"os"
)

// Report is the measurement as others read it; tools/demo puts several side by side.
type Report struct {
	Name          string  `json:"name"`
	PID           int     `json:"pid"`
	Reads         Latency `json:"reads"`
	Writes        Latency `json:"writes"`
	Calls         Latency `json:"calls"`
	Misses        uint64  `json:"misses"`
	FlatOutReads  float64 `json:"flat_out_reads_per_second"`
	AllocsPerRead float64 `json:"allocs_per_read"`
	ClockNs       float64 `json:"clock_ns"`
}

// Latency is one kind of operation.
type Latency struct {
	PerSecond float64 `json:"per_second"`
	P50       int64   `json:"p50_ns"`
	P99       int64   `json:"p99_ns"`
	P999      int64   `json:"p999_ns"`
}

func latencyOf(h *Histogram, seconds float64) Latency {
	return Latency{
		PerSecond: float64(h.Count()) / seconds,
		P50:       h.Quantile(0.5).Nanoseconds(),
		P99:       h.Quantile(0.99).Nanoseconds(),
		P999:      h.Quantile(0.999).Nanoseconds(),
	}
}

func reportOf(name string, m *Measured) Report {
	r := Report{
		Name:          name,
		PID:           os.Getpid(),
		Reads:         latencyOf(&m.Reads, m.Seconds),
		Writes:        latencyOf(&m.Writes, m.Seconds),
		Calls:         latencyOf(&m.Calls, m.Seconds),
		Misses:        m.Misses,
		AllocsPerRead: m.AllocsPerRead,
		ClockNs:       m.ClockNs,
	}
	if m.BurstSeconds > 0 {
		r.FlatOutReads = float64(m.BurstReads) / m.BurstSeconds
	}
	return r
}

func (r Report) print(out io.Writer) error {
	_, err := fmt.Fprintf(out, `%s (pid %d)
reads   %8.0f/s  p50 %d ns  p99 %d ns  p99.9 %d ns  (%d missing; the clock is %.0f ns of it)
        %8.0f/s  as fast as it goes, %.4f allocations per read
writes  %8.0f/s  p50 %.1f us  p99 %.1f us
calls   %8.0f/s  p50 %.1f us  p99 %.1f us
`,
		r.Name, r.PID,
		r.Reads.PerSecond, r.Reads.P50, r.Reads.P99, r.Reads.P999, r.Misses, r.ClockNs,
		r.FlatOutReads, r.AllocsPerRead,
		r.Writes.PerSecond, float64(r.Writes.P50)/1e3, float64(r.Writes.P99)/1e3,
		r.Calls.PerSecond, float64(r.Calls.P50)/1e3, float64(r.Calls.P99)/1e3)
	return err
}
