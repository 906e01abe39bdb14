package main

import (
	"math/bits"
	"time"
)

// Histogram counts durations in log-linear buckets: exact below 64 ns, afterwards at most 3 % wide. It
// allocates nothing and belongs to one goroutine.
type Histogram struct {
	counts [maxBucket + 1]uint64
	total  uint64
}

const (
	subBits   = 5 // 32 buckets for each power of two
	maxBucket = (64-subBits+1)<<subBits - 1
)

func bucketOf(ns uint64) int {
	if ns < 2<<subBits {
		return int(ns)
	}
	shift := bits.Len64(ns) - subBits - 1
	return shift<<subBits + int(ns>>shift)
}

// upperBound is the highest duration that falls into a bucket.
func upperBound(bucket int) uint64 {
	if bucket < 2<<subBits {
		return uint64(bucket)
	}
	shift := bucket>>subBits - 1
	return (uint64(bucket-shift<<subBits)+1)<<shift - 1
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(uint64(max(0, d)))]++
	h.total++
}

// Count is how many durations were added.
func (h *Histogram) Count() uint64 { return h.total }

// Quantile is the duration that a share q of all did not exceed; 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for bucket, count := range h.counts {
		seen += count
		if count > 0 && seen > min(rank, h.total-1) {
			return time.Duration(upperBound(bucket))
		}
	}
	return 0
}
