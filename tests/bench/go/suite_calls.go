package main

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

const limit = "ping-pong limit"

// runEcho calls as fast as one goroutine can.
func runEcho(env *Env) ([]*Row, error) {
	const figure = "call, echo 64 B, both sides hot"
	peers, rows, err := echoPeers(env, figure, hearthd, socketEcho, grpcEcho, shmipcEcho)
	if err != nil {
		return nil, err
	}
	defer closePeers(peers)
	contest := newContest(env)
	for _, peer := range peers {
		contest.Add(peer.name, func(warm bool) (Outcome, error) { return closedLoop(peer, env.Plan.Slice) })
	}
	contest.Add(limit, pingpong(env))
	if err := contest.Run(env.Plan.Rounds); err != nil {
		return nil, err
	}
	p50 := contest.Row(figure+", p50", "ns", "call.p50", "Hearth", limit)
	p50.Judge(targetEcho, "at most 3 x the ping-pong limit", p50.Ratio.Median <= 3)
	request, answer := bytes.Repeat([]byte{5}, valueSize), make([]byte, 0, valueSize)
	p50.Hearth.Allocs, err = allocations(10_000, func(n int) error {
		for range n {
			if answer, err = echoOnce(peers[0].echoer, answer, request); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows = append([]*Row{p50}, rows...)
	for _, p := range []string{"p99", "p99.9"} {
		rows = append(rows, contest.Row(figure+", "+p, "ns", "call."+p, "Hearth", limit))
	}
	for _, peer := range peers[1:] {
		row := contest.Row(figure+", p50", "ns", "call.p50", "Hearth", peer.name)
		switch peer.name {
		case shmipcEcho:
			row.Judge(targetEcho, "10 x faster than shmipc-go", row.Ratio.Median <= 0.1)
		case grpcEcho:
			row.Judge(targetEcho, "50 x faster than gRPC-go", row.Ratio.Median <= 0.02)
		}
		rows = append(rows, row)
	}
	return append(rows, contest.Row(figure+", CPU of both processes for each call", "us", "cpu", "Hearth", socketEcho)), nil
}

// closedLoop calls for a while, the next call as soon as the last was answered. The clock is read
// once for each call.
func closedLoop(peer echoPeer, slice time.Duration) (Outcome, error) {
	request, answer := bytes.Repeat([]byte{5}, valueSize), make([]byte, 0, valueSize)
	var err error
	for start := time.Now(); time.Since(start) < slice/8; {
		if answer, err = echoOnce(peer.echoer, answer, request); err != nil {
			return Outcome{}, err
		}
	}
	cpu, err := startCPU(peer.pid)
	if err != nil {
		return Outcome{}, err
	}
	h := &Histogram{}
	start := time.Now()
	last := time.Duration(0)
	for last < slice {
		if answer, err = echoOnce(peer.echoer, answer, request); err != nil {
			return Outcome{}, err
		}
		now := time.Since(start)
		h.Record(int64(now - last))
		last = now
	}
	used, err := cpu.each(h.Count())
	return Outcome{Values: map[string]float64{"cpu": used}, Latencies: map[string]*Histogram{"call": h}}, err
}

// cpuMeter measures what this process and a server use.
type cpuMeter struct {
	pids   []int
	before time.Duration
}

func startCPU(server int) (*cpuMeter, error) {
	m := &cpuMeter{pids: []int{os.Getpid()}}
	if server != 0 {
		m.pids = append(m.pids, server)
	}
	var err error
	m.before, err = m.read()
	return m, err
}

func (m *cpuMeter) read() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range m.pids {
		used, err := processCPU(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// each is the CPU time since the start for each of n operations, in microseconds.
func (m *cpuMeter) each(n uint64) (float64, error) {
	now, err := m.read()
	return float64(now-m.before) / 1e3 / float64(max(n, 1)), err
}

// runPaced calls at fixed rates.
func runPaced(env *Env) ([]*Row, error) {
	var rows []*Row
	for _, rate := range []int{1000, 10_000} {
		more, err := pacedAt(env, rate)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

const pacing = "pacing alone"

func pacedAt(env *Env, rate int) ([]*Row, error) {
	figure := fmt.Sprintf("call at %s/s, 64 B", count(rate))
	peers, rows, err := echoPeers(env, figure, hearthd, socketEcho, grpcEcho, shmipcEcho)
	if err != nil {
		return nil, err
	}
	defer closePeers(peers)
	contest := newContest(env)
	for _, peer := range append(peers, echoPeer{name: pacing}) {
		contest.Add(peer.name, func(warm bool) (Outcome, error) {
			if warm {
				return pacedLoop(peer, rate, env.Plan.Paced/8)
			}
			return pacedLoop(peer, rate, env.Plan.Paced)
		})
	}
	if err := contest.Run(env.Plan.PacedRuns); err != nil {
		return nil, err
	}
	judged := rate == 1000
	for _, p := range []string{"p50", "p99", "p99.9"} {
		row := contest.Row(figure+", "+p+" from the scheduled instant", "us", "scheduled."+p, "Hearth", socketEcho)
		if judged && p != "p99.9" {
			row.Judge(targetPaced, p+" no worse than the socket", row.Ratio.Median <= 1)
		}
		rows = append(rows, row)
	}
	for _, p := range []string{"p50", "p99", "p99.9"} {
		rows = append(rows, contest.Row(figure+", "+p+" of the call alone", "us", "call."+p, "Hearth", socketEcho))
	}
	cpu := contest.Row(figure+", CPU of both processes for each call", "us", "cpu", "Hearth", socketEcho)
	if judged {
		cpu.Judge(targetPaced, "CPU no higher than the socket", cpu.Ratio.Median <= 1)
	}
	rows = append(rows, cpu.Noted("pacing alone: %.1f us", contest.Side(pacing).Series("cpu").Median))
	for _, peer := range peers[2:] {
		for _, key := range []string{"p50", "p99"} {
			rows = append(rows, contest.Row(figure+", "+key+" of the call alone", "us", "call."+key, "Hearth", peer.name))
		}
	}
	for _, row := range rows {
		row.toMicroseconds()
	}
	return rows, nil
}

// toMicroseconds converts latencies, which are counted in nanoseconds.
func (r *Row) toMicroseconds() {
	for _, s := range []*Series{r.Hearth, r.Peer} {
		if s == nil || s.Percentiles == nil {
			continue
		}
		for _, p := range []*float64{&s.Median, &s.Min, &s.Max} {
			*p /= 1e3
		}
		for i := range s.Rounds {
			s.Rounds[i] /= 1e3
		}
		for name := range s.Percentiles {
			if name != "count" {
				s.Percentiles[name] /= 1e3
			}
		}
	}
}

// pacedLoop calls at instants that are fixed beforehand. A call that takes too long delays the next
// one, whose latency then counts from the instant at which it should have begun, so that a stall is
// not hidden by the calls it prevented (Gil Tene's "coordinated omission"). Latency from the moment
// at which the call really began is recorded as well. Without an echoer it only keeps the pace.
func pacedLoop(peer echoPeer, rate int, duration time.Duration) (Outcome, error) {
	request, answer := bytes.Repeat([]byte{5}, valueSize), make([]byte, 0, valueSize)
	scheduled, call := &Histogram{}, &Histogram{}
	cpu, err := startCPU(peer.pid)
	if err != nil {
		return Outcome{}, err
	}
	pacer, err := NewPacer(time.Second / time.Duration(rate))
	if err != nil {
		return Outcome{}, err
	}
	defer pacer.Close()
	calls := max(1, int(duration.Seconds()*float64(rate)))
	for range calls {
		due, err := pacer.Wait()
		if err != nil {
			return Outcome{}, err
		}
		began := time.Now()
		if peer.echoer != nil {
			if answer, err = echoOnce(peer.echoer, answer, request); err != nil {
				return Outcome{}, err
			}
		}
		ended := time.Now()
		scheduled.Record(int64(ended.Sub(due)))
		call.Record(int64(ended.Sub(began)))
	}
	used, err := cpu.each(uint64(calls))
	return Outcome{
		Values:    map[string]float64{"cpu": used},
		Latencies: map[string]*Histogram{"scheduled": scheduled, "call": call},
	}, err
}
