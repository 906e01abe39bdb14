package main

import (
	"fmt"
	"math"
	"slices"
)

// Series is what one side showed in all rounds.
type Series struct {
	Name   string    `json:"name"`
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"`
	// Of all rounds together, for latencies: p50, p90, p99, p99.9, p99.99, max, count.
	Percentiles map[string]float64 `json:"percentiles,omitempty"`
	// Heap allocations for each operation, where they were counted.
	Allocs *float64 `json:"allocs,omitempty"`
}

// Spread is a ratio between two sides: of their medians, and of the rounds that lie farthest apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Row is one line of the table: a figure of Hearth, beside that of a peer or a limit if there is one.
type Row struct {
	Suite   string      `json:"suite"`
	Figure  string      `json:"figure"`
	Unit    string      `json:"unit"`
	Hearth  *Series     `json:"hearth,omitempty"`
	Peer    *Series     `json:"peer,omitempty"`
	Ratio   *Spread     `json:"ratio,omitempty"` // Hearth / peer
	Targets []Judgement `json:"targets,omitempty"`
	Note    string      `json:"note,omitempty"`
	Skipped string      `json:"skipped,omitempty"` // why there are no numbers
}

// Judgement says whether a row reaches (its part of) a target.
type Judgement struct {
	Target  string `json:"target"` // key in targets.go
	Demand  string `json:"demand"`
	Reached bool   `json:"reached"`
}

// Found is what a worker answers.
type Found struct {
	Rows []*Row `json:"rows"`
	// Measured counts the measurements in the rows, Disturbed those of them during which other
	// processes used more than a twentieth of the machine.
	Measured  int `json:"measured"`
	Disturbed int `json:"disturbed"`
}

// Judge adds a judgement and returns the row.
func (r *Row) Judge(target, demand string, reached bool) *Row {
	r.Targets = append(r.Targets, Judgement{target, demand, reached})
	return r
}

// Noted adds a note and returns the row.
func (r *Row) Noted(format string, arguments ...any) *Row {
	if r.Note != "" {
		r.Note += "; "
	}
	r.Note += fmt.Sprintf(format, arguments...)
	return r
}

// newSeries condenses the rounds of one side.
func newSeries(name string, rounds []float64) *Series {
	return &Series{
		Name: name, Rounds: slices.Clone(rounds),
		Median: median(rounds), Min: slices.Min(rounds), Max: slices.Max(rounds),
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratioOf divides the medians, and, for the spread, round by round: the two sides of a round ran next
// to each other, so what disturbed both cancels out.
func ratioOf(a, b *Series) *Spread {
	if b.Median == 0 {
		return nil
	}
	ratio := &Spread{Median: a.Median / b.Median, Min: math.Inf(1), Max: math.Inf(-1)}
	for i := range min(len(a.Rounds), len(b.Rounds)) {
		if b.Rounds[i] != 0 {
			ratio.Min = min(ratio.Min, a.Rounds[i]/b.Rounds[i])
			ratio.Max = max(ratio.Max, a.Rounds[i]/b.Rounds[i])
		}
	}
	if ratio.Min > ratio.Max {
		return nil
	}
	return ratio
}

var percentiles = []struct {
	name  string
	share float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}}

func percentilesOf(h *Histogram) map[string]float64 {
	out := map[string]float64{"max": float64(h.Max()), "count": float64(h.Count())}
	for _, p := range percentiles {
		out[p.name] = float64(h.Quantile(p.share))
	}
	return out
}
