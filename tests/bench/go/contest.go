package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"time"
)

// Outcome is what one side showed in one round: named values, and latencies whose percentiles become
// values ("call" gives call.p50, call.p99, ...).
type Outcome struct {
	Values    map[string]float64
	Latencies map[string]*Histogram
}

func value(name string, v float64) Outcome { return Outcome{Values: map[string]float64{name: v}} }

// Measure measures one round; warm says that it is the round that does not count.
type Measure func(warm bool) (Outcome, error)

// Side is one participant of a contest.
type Side struct {
	Name    string
	Measure Measure
	rounds  map[string][]float64
	merged  map[string]*Histogram
}

// Contest measures its sides alternately: all of them in each round, beginning with another one each
// time, after one round that does not count.
type Contest struct {
	Sides []*Side
	env   *Env
}

func newContest(env *Env) *Contest { return &Contest{env: env} }

// Add appends a side.
func (c *Contest) Add(name string, measure Measure) {
	c.Sides = append(c.Sides, &Side{
		Name: name, Measure: measure,
		rounds: map[string][]float64{}, merged: map[string]*Histogram{},
	})
}

// Run measures.
func (c *Contest) Run(rounds int) error {
	for round := -1; round < rounds; round++ {
		for i := range c.Sides {
			side := c.Sides[(i+round+1)%len(c.Sides)]
			outcome, err := c.measure(side, round < 0)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", side.Name, round, err)
			}
			if round >= 0 {
				side.add(outcome)
			}
		}
	}
	return nil
}

// measure measures one side once, and again while other processes were in the way and patience lasts.
func (c *Contest) measure(side *Side, warm bool) (Outcome, error) {
	for {
		runtime.GC() // nobody pays for what another left behind
		watch, start := watchOthers(c.env), time.Now()
		outcome, err := side.Measure(warm)
		if err != nil || warm {
			return outcome, err
		}
		quiet := watch.quiet()
		if quiet || !c.env.waitForQuiet(time.Since(start)) {
			c.env.count(quiet)
			return outcome, nil
		}
	}
}

func (s *Side) add(outcome Outcome) {
	for name, v := range outcome.Values {
		s.rounds[name] = append(s.rounds[name], v)
	}
	for name, latency := range outcome.Latencies {
		for _, p := range percentiles {
			key := name + "." + p.name
			s.rounds[key] = append(s.rounds[key], float64(latency.Quantile(p.share)))
		}
		if s.merged[name] == nil {
			s.merged[name] = &Histogram{}
		}
		s.merged[name].Merge(latency)
	}
}

// Side finds a side by name; nil if it does not take part.
func (c *Contest) Side(name string) *Side {
	for _, side := range c.Sides {
		if side.Name == name {
			return side
		}
	}
	return nil
}

// Series is one value of a side over the rounds; nil if it was not measured.
func (s *Side) Series(key string) *Series {
	if s == nil || len(s.rounds[key]) == 0 {
		return nil
	}
	series := newSeries(s.Name, s.rounds[key])
	for name, merged := range s.merged {
		if len(key) > len(name) && key[:len(name)+1] == name+"." {
			series.Percentiles = percentilesOf(merged)
		}
	}
	return series
}

// Row compares a value of two sides; peer may be "" or a side that does not take part.
func (c *Contest) Row(figure, unit, key, hearth, peer string) *Row {
	row := &Row{Figure: figure, Unit: unit, Hearth: c.Side(hearth).Series(key)}
	if row.Peer = c.Side(peer).Series(key); row.Peer != nil && row.Hearth != nil {
		row.Ratio = ratioOf(row.Hearth, row.Peer)
	}
	return row
}

// Loop is n operations.
type Loop func(n int) error

// chunk is how long a loop runs between two looks at the clock: long enough to forget the looks, short
// enough that most chunks of a busy machine run undisturbed.
const chunk = time.Millisecond

// timed returns a measurement of a loop that lasts about that long: the nanoseconds for each operation
// in the median chunk, as "ns". The warm round calibrates the chunks.
func timed(slice time.Duration, loop Loop) Measure {
	n := 0
	return func(warm bool) (Outcome, error) {
		if warm {
			return Outcome{}, calibrate(min(chunk, slice), loop, &n)
		}
		var chunks []float64
		start := time.Now()
		for last := time.Duration(0); last < slice; {
			if err := loop(n); err != nil {
				return Outcome{}, err
			}
			now := time.Since(start)
			chunks = append(chunks, float64(now-last)/float64(n))
			last = now
		}
		return value("ns", median(chunks)), nil
	}
}

// calibrate finds how many operations take that long. It looks several times and takes the quickest,
// since whatever disturbs a loop only adds to it.
func calibrate(duration time.Duration, loop Loop, n *int) error {
	const looks, most = 5, 1 << 24
	for *n = 1; *n < most; *n *= 2 {
		best := time.Duration(math.MaxInt64)
		for look := 0; look < looks && best >= duration/2; look++ {
			start := time.Now()
			if err := loop(*n); err != nil {
				return err
			}
			best = min(best, max(time.Since(start), 1))
		}
		if best >= duration/2 {
			*n = max(1, int(float64(*n)*float64(duration)/float64(best)))
			return nil
		}
	}
	return nil
}

// forEach divides what a measurement found by the number of things that one operation deals with.
func forEach(things int, measure Measure) Measure {
	return func(warm bool) (Outcome, error) {
		outcome, err := measure(warm)
		for name := range outcome.Values {
			outcome.Values[name] /= float64(things)
		}
		return outcome, err
	}
}

// allocations counts heap allocations for each of n operations.
func allocations(n int, loop Loop) (*float64, error) {
	var before, after runtime.MemStats
	if err := loop(min(n, 100)); err != nil {
		return nil, err
	}
	runtime.ReadMemStats(&before)
	err := loop(n)
	runtime.ReadMemStats(&after)
	each := float64(after.Mallocs-before.Mallocs) / float64(n)
	if each < 0.01 { // a timer or the runtime itself, not the operation
		each = 0
	}
	return &each, err
}

func progress(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", arguments...)
}
