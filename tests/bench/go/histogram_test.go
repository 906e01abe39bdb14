package main

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestEveryValueLiesInItsBucket(t *testing.T) {
	for _, value := range []uint64{0, 1, 127, 128, 129, 255, 256, 1000, 1 << 20, 1<<40 + 12345, 1<<64 - 1} {
		bucket := bucketOf(value)
		if value > upperEdge(bucket) || bucket > 0 && value <= upperEdge(bucket-1) {
			t.Errorf("%d is in bucket %d, which ends at %d", value, bucket, upperEdge(bucket))
		}
	}
}

func TestQuantilesAreWithinOnePercentOfTheExactOnes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var whole, parts Histogram
	var exact []uint64
	for range 10 {
		var part Histogram
		for range 5000 {
			value := uint64(random.ExpFloat64() * 50000)
			exact = append(exact, value)
			whole.Record(int64(value))
			part.Record(int64(value))
		}
		parts.Merge(&part)
	}
	slices.Sort(exact)
	for _, share := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := float64(exact[max(0, int(share*float64(len(exact))+0.5)-1)])
		for _, h := range []*Histogram{&whole, &parts} {
			if got := float64(h.Quantile(share)); got < want || got > want*1.01+1 {
				t.Errorf("quantile %v is %v, exactly %v", share, got, want)
			}
		}
	}
	if whole.Count() != 50000 || parts.Max() != exact[len(exact)-1] {
		t.Errorf("count %d, max %d", whole.Count(), parts.Max())
	}
}

func TestAnEmptyHistogramIsAllZero(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 || h.Count() != 0 {
		t.Error("not zero")
	}
}
