package main

import (
	"fmt"
	"io"
	"strings"
)

// Keys of the targets that rows are judged by.
const (
	targetHot       = "hot"
	targetRandom    = "random"
	targetMulti     = "multi"
	targetEcho      = "echo"
	targetPaced     = "paced"
	targetPipelined = "pipelined"
	targetSets      = "sets"
	targetIdle      = "idle"
	targetBytes     = "bytes"
)

// targets are all that Hearth sets out to reach. Those without a key need parts that do not exist
// yet, or are shown by another suite.
var targets = []struct{ key, figure, demand, missing string }{
	{targetHot, "`GetAppend`, hot key, 64 B", "30 ns or less, 0 allocations, no slower than the fastest in-process Go cache (otter, ristretto, sync.Map)", ""},
	{targetRandom, "`GetAppend`, random among 1 M x 64 B", "at most 1.1 x a plain Go map; at least 200 x faster than Redis and memcached over a Unix socket", ""},
	{targetMulti, "multi-get of 64 random keys among 1 M", "at most half the time per key of single gets", ""},
	{"", "1 MiB value, zero-copy view", "below 200 ns, independent of size", "not in this run: `go test -bench View` in go-binding"},
	{targetEcho, "raw call echo 64 B, both sides hot", "p50 at most 3 x the ping-pong limit; 10 x faster than shmipc-go, 50 x than gRPC-go over a Unix socket", ""},
	{"", "typed call (generated stub, small struct) hot", "at most 300 ns above the raw call, 0 allocations in the binding", "not yet: needs typed clients"},
	{targetPaced, "call at 1,000/s, machine otherwise idle", "p50 and p99 no worse than a plain Unix-socket echo between Go and C++, CPU per call no higher", ""},
	{targetPipelined, "calls from 64 goroutines, pipelined", "2 M/s on 2 cores", ""},
	{targetSets, "acknowledged sets from 64 goroutines, 64 B; prewarm", "1.5 M/s on 2 cores; prewarm from JSONL 500 k entries/s, from export 2 M/s", "from an export: not yet"},
	{targetIdle, "idle, 1,000 sessions connected", "0.0 % CPU, memory per session below 300 KiB", ""},
	{"", "restart under load", "0 failed reads, writers paused below 100 ms; after SIGKILL the same; attach below 10 ms at 4 GiB", "not yet: needs the keeper"},
	{"", "snapshot and restore", "at disk speed; 1 GB/s per core when the disk is faster", "not yet: needs snapshots"},
	{targetBytes, "bytes per entry beyond key and value", "44 or less on average, index included, at 80 % live space", ""},
	{"", "hit ratio", "within 0.5 points of per-object S3-FIFO on every trace, never below LRU", "not a benchmark: see docs/hit-ratio.md"},
	{"", "crash tests", "0 lost acknowledged writes, 0 torn or wrong reads, every history linearizable", "not a benchmark: see the crash suites"},
}

// TargetResult is what a run says about one target.
type TargetResult struct {
	Figure  string `json:"figure"`
	Demand  string `json:"demand"`
	Reached string `json:"reached"` // yes, no, not measured, or why not
	// Missed lists the parts that were not reached, with the figures.
	Missed []string `json:"missed,omitempty"`
}

// judge collects the judgements of all rows.
func judge(report *Report) []TargetResult {
	var results []TargetResult
	for _, target := range targets {
		result := TargetResult{Figure: target.figure, Demand: target.demand, Reached: target.missing}
		judged := false
		for _, row := range report.Rows {
			for _, j := range row.Targets {
				if target.key == "" || j.Target != target.key {
					continue
				}
				judged = true
				if !j.Reached {
					result.Missed = append(result.Missed, fmt.Sprintf("%s: %s (%s)", row.Figure, row.found(), j.Demand))
				}
			}
		}
		switch {
		case target.key == "":
		case !judged:
			result.Reached = "not measured"
		case len(result.Missed) > 0:
			result.Reached = "no"
		case target.missing != "":
			result.Reached = "yes; " + target.missing
		default:
			result.Reached = "yes"
		}
		results = append(results, result)
	}
	return results
}

// found is a row in one phrase.
func (r *Row) found() string {
	text := figureText(r.Hearth, r.Unit)
	if r.Peer != nil {
		text += " against " + figureText(r.Peer, r.Unit) + " of " + r.Peer.Name
	}
	return text
}

func printTargets(out io.Writer, report *Report) {
	fmt.Fprintf(out, "\ntargets (%.0f s; others disturbed %d of %d measurements)\n", report.Seconds, report.Disturbed, report.Measured)
	for _, t := range report.Targets {
		fmt.Fprintf(out, "  %-12s  %s\n", strings.SplitN(t.Reached, ":", 2)[0], strings.ReplaceAll(t.Figure, "`", ""))
		for _, missed := range t.Missed {
			fmt.Fprintf(out, "  %-12s    missed: %s\n", "", missed)
		}
	}
}
