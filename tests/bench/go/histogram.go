package main

import "math/bits"

// subBits: each power of two is divided into 128 equal buckets, so a value is known to within 0.8 %
// (the bucket scheme of core/stats/histogram.h, with finer buckets).
const subBits = 7

// Histogram counts nanoseconds in log-linear buckets.
type Histogram struct {
	counts [(64 - subBits + 1) << subBits]uint64
	total  uint64
	max    uint64
}

func bucketOf(value uint64) int {
	if value < 1<<subBits {
		return int(value)
	}
	exponent := bits.Len64(value) - 1 - subBits
	return exponent<<subBits + int(value>>exponent)
}

func upperEdge(bucket int) uint64 {
	if bucket < 1<<subBits {
		return uint64(bucket)
	}
	exponent := bucket>>subBits - 1
	mantissa := uint64(bucket&(1<<subBits-1)) + 1<<subBits
	return (mantissa+1)<<exponent - 1
}

// Record counts a value; a negative one (the clock of a late reader) counts as 0.
func (h *Histogram) Record(ns int64) { h.RecordMany(ns, 1) }

// RecordMany counts a value several times.
func (h *Histogram) RecordMany(ns int64, times uint64) {
	value := uint64(max(ns, 0))
	h.counts[bucketOf(value)] += times
	h.total += times
	h.max = max(h.max, value)
}

// Merge adds another histogram.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Count is the number of values.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the largest value, exactly.
func (h *Histogram) Max() uint64 { return h.max }

// Quantile is the value at or below which that share of all values lie, as the upper edge of its
// bucket; 0 when there are none.
func (h *Histogram) Quantile(share float64) uint64 {
	wanted := max(1, uint64(share*float64(h.total)+0.5))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= wanted {
			return min(upperEdge(i), h.max)
		}
	}
	return h.max
}
