package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

// Load is what the service is put under.
type Load struct {
	Keys     []string
	Peers    []string      // names of the services in other processes
	Duration time.Duration // of the paced part
	Burst    time.Duration // of the flat-out part
	Reads    float64       // per second
	Writes   float64
	Calls    float64
	Seed     uint64
}

// Measured is what came of it.
type Measured struct {
	Reads, Writes, Calls Histogram
	Misses               uint64
	Seconds              float64 // of the paced part
	BurstReads           uint64
	BurstSeconds         float64
	AllocsPerRead        float64
	ClockNs              float64 // what reading the clock twice adds to each read
}

// Run puts the service under load until the time is over or ctx ends. Its error is the first thing
// that was not as it must be: a failed operation, a wrong value, a write of a peer that went backwards.
func Run(ctx context.Context, s *Service, load Load) (*Measured, error) {
	m := &Measured{}
	sequence := keySequence(load)
	var err error
	if m.AllocsPerRead, err = allocsPerRead(s, load.Keys, sequence); err != nil {
		return nil, err
	}
	m.ClockNs = clockCost()

	paced, stop := context.WithTimeout(ctx, load.Duration)
	defer stop()
	start := time.Now()
	err = together(
		func() error { return readPaced(paced, s, load, sequence, m) },
		func() error { return write(paced, s, load, m) },
		func() error { return call(paced, s, load, m) },
	)
	m.Seconds = time.Since(start).Seconds()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return m, readFlatOut(ctx, s, load, sequence, m)
}

// together runs functions at the same time and returns their errors.
func together(functions ...func() error) error {
	errs := make([]error, len(functions))
	var group sync.WaitGroup
	for i, function := range functions {
		group.Add(1)
		go func() {
			defer group.Done()
			errs[i] = function()
		}()
	}
	group.Wait()
	return errors.Join(errs...)
}

// keySequence is which key each read takes: half of them by Zipf's law, as people ask for packages,
// half at random, so that the CPU's caches cannot hold them. Drawn before, so that drawing is not
// measured.
func keySequence(load Load) []uint32 {
	random := rand.New(rand.NewPCG(load.Seed, 0))
	zipf := rand.NewZipf(random, 1.1, 1, uint64(len(load.Keys)-1))
	// Which keys are popular is the same in all processes.
	popular := rand.New(rand.NewPCG(1, 0)).Perm(len(load.Keys))
	sequence := make([]uint32, 1<<18)
	for i := range sequence {
		if i%2 == 0 {
			sequence[i] = uint32(popular[zipf.Uint64()])
		} else {
			sequence[i] = uint32(random.IntN(len(load.Keys)))
		}
	}
	return sequence
}

func allocsPerRead(s *Service, keys []string, sequence []uint32) (float64, error) {
	const reads = 100_000
	buf := make([]byte, 0, 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range reads {
		name := keys[sequence[i%len(sequence)]]
		if _, err := s.Lookup(buf, name); err != nil && !errors.Is(err, hearth.ErrNotFound) {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / reads, nil
}

func clockCost() float64 {
	const rounds = 100_000
	start := time.Now()
	for range rounds {
		_ = time.Since(start)
	}
	return float64(time.Since(start).Nanoseconds()) / rounds
}

// readOne looks a package up and checks every byte that tells whose record it is.
func readOne(s *Service, buf []byte, name string) (missing bool, err error) {
	record, err := s.Lookup(buf, name)
	return check(record, name, err)
}

func check(record []byte, name string, err error) (missing bool, _ error) {
	if errors.Is(err, hearth.ErrNotFound) {
		return true, nil // evicted: a service would ask its database, and Set
	}
	if err == nil && !RecordOf(record, name) {
		err = fmt.Errorf("the record of %s is %.60q", name, record)
	}
	return false, err
}

// readPaced reads in small bursts, as requests come, and times each read.
func readPaced(ctx context.Context, s *Service, load Load, sequence []uint32, m *Measured) error {
	const burst = 100
	buf := make([]byte, 0, 1<<20)
	pace := newPace(load.Reads / burst)
	seen := make([]uint64, len(load.Peers))
	for next := 0; ; next += burst {
		if !pace.wait(ctx) {
			return nil
		}
		for i := range burst {
			name := load.Keys[sequence[(next+i)%len(sequence)]]
			begin := time.Now()
			record, err := s.Lookup(buf, name)
			m.Reads.Add(time.Since(begin))
			missing, err := check(record, name, err)
			if err != nil {
				return err
			}
			if missing {
				m.Misses++
			}
		}
		if err := readPeers(s, load.Peers, buf, seen); err != nil {
			return err
		}
	}
}

// readPeers sees what the other processes write while they write it: never going backwards.
func readPeers(s *Service, peers []string, buf []byte, seen []uint64) error {
	for i, peer := range peers {
		visits, err := s.VisitsOf(buf, peer)
		if err != nil {
			return err
		}
		if visits < seen[i] {
			return fmt.Errorf("%s had %d visits and now has %d", peer, seen[i], visits)
		}
		seen[i] = visits
	}
	return nil
}

func readFlatOut(ctx context.Context, s *Service, load Load, sequence []uint32, m *Measured) error {
	buf := make([]byte, 0, 1<<20)
	start := time.Now()
	for ctx.Err() == nil && time.Since(start) < load.Burst {
		for range 1000 {
			name := load.Keys[sequence[m.BurstReads%uint64(len(sequence))]]
			if _, err := readOne(s, buf, name); err != nil {
				return err
			}
			m.BurstReads++
		}
	}
	m.BurstSeconds = time.Since(start).Seconds()
	return ctx.Err()
}

func write(ctx context.Context, s *Service, load Load, m *Measured) error {
	var written, read [20]byte
	pace := newPace(load.Writes)
	for visits := uint64(1); pace.wait(ctx); visits++ {
		_, err := s.RecordVisit(context.WithoutCancel(ctx), written[:], visits)
		m.Writes.Add(pace.took())
		if err != nil {
			return err
		}
		// What was acknowledged is what anybody reads from now on.
		if now, err := s.VisitsOf(read[:], s.name); err != nil || now != visits {
			return fmt.Errorf("wrote %d visits and read %d: %w", visits, now, err)
		}
	}
	return nil
}

func call(ctx context.Context, s *Service, load Load, m *Measured) error {
	request := make([]byte, 64)
	buf := make([]byte, 0, 1024)
	pace := newPace(load.Calls)
	for n := 0; pace.wait(ctx); n++ {
		request[n%len(request)]++
		_, err := s.Echo(context.WithoutCancel(ctx), buf, request)
		m.Calls.Add(pace.took())
		if err != nil {
			return err
		}
	}
	return nil
}

// pace spaces operations evenly. An operation that could not begin in time, because the one before
// took too long, counts from when it should have begun: a stall is not measured once but by everything
// that waited for it.
type pace struct {
	interval time.Duration
	due      time.Time
	begin    time.Time
}

func newPace(perSecond float64) *pace {
	return &pace{interval: time.Duration(float64(time.Second) / perSecond), due: time.Now()}
}

// wait returns false when ctx has ended.
func (p *pace) wait(ctx context.Context) bool {
	p.due = p.due.Add(p.interval)
	p.begin = p.due
	if wait := time.Until(p.due); wait > 0 {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
		p.begin = time.Now()
	}
	return ctx.Err() == nil
}

func (p *pace) took() time.Duration { return time.Since(p.begin) }
