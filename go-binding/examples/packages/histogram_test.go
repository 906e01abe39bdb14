package main

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestBucketsAreContiguousAndAtMostThreePercentWide(t *testing.T) {
	last := -1
	for _, ns := range []uint64{0, 1, 63, 64, 65, 127, 128, 1000, 123456789, math.MaxInt64, math.MaxUint64} {
		bucket := bucketOf(ns)
		if bucket < last || bucket > maxBucket {
			t.Fatalf("bucket of %d is %d, after %d", ns, bucket, last)
		}
		last = bucket
		high := upperBound(bucket)
		if high < ns || float64(high-ns) > 0.0323*float64(ns) {
			t.Errorf("%d counts as %d", ns, high)
		}
		if high != math.MaxUint64 && bucketOf(high+1) != bucket+1 {
			t.Errorf("%d is in bucket %d, which should begin after %d", high+1, bucketOf(high+1), bucket)
		}
	}
}

func TestQuantilesMatchASortedList(t *testing.T) {
	var h Histogram
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(i * i * 37 % 1_000_003)
		h.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		if got := h.Quantile(q); got < want || float64(got-want) > 0.0323*float64(want) {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestAnEmptyHistogramHasNoQuantiles(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Count() != 0 {
		t.Error("something in nothing")
	}
}

func TestRecordOfTakesTheWholeRecordOnly(t *testing.T) {
	for record, want := range map[string]bool{
		`{"Package":"zip","Version":"3"}`:  true,
		`{"Package":"zipx","Version":"3"}`: false,
		`{"Package":"zip","Version":"3"`:   false,
		`{"Package":"zi`:                   false,
		``:                                 false,
	} {
		if RecordOf([]byte(record), "zip") != want {
			t.Errorf("%s: want %v", record, want)
		}
	}
}
