package main

import (
	"os"
	"syscall"
	"time"
)

// quietShare is how much of the machine others may use during a measurement that counts as quiet.
const quietShare = 0.05

// Watch sees how much CPU time processes that do not belong to a suite use in the meantime.
type Watch struct {
	env   *Env
	start cpuTimes
	own   time.Duration
}

func watchOthers(env *Env) *Watch { return &Watch{env, readCPUTimes(), ownCPU(env)} }

// ownCPU is what this process, its children that have ended, and the suite's servers used.
func ownCPU(env *Env) time.Duration {
	var sum time.Duration
	for _, pid := range env.Pid {
		used, _ := processCPU(pid)
		sum += used
	}
	used, _ := processCPU(os.Getpid())
	var children syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
	return sum + used + time.Duration(children.Utime.Nano()+children.Stime.Nano())
}

// quiet says whether others hardly used the machine. The kernel counts in ticks of 10 ms, two of
// which are forgiven.
func (w *Watch) quiet() bool {
	now := readCPUTimes()
	others := now.busy - w.start.busy - (ownCPU(w.env) - w.own)
	return float64(others-2*tick) <= quietShare*float64(now.all-w.start.all)
}

// waitForQuiet waits until the machine is quiet, and says whether it became so before the suite's
// patience ended. A measurement that is going to be repeated was a wait, too.
func (e *Env) waitForQuiet(wasted time.Duration) bool {
	const look = 500 * time.Millisecond
	for e.Plan.Patience -= wasted; e.Plan.Patience > 0; e.Plan.Patience -= look {
		watch := watchOthers(e)
		time.Sleep(look)
		if watch.quiet() {
			return true
		}
	}
	return false
}

// count keeps account of the measurements that go into the results.
func (e *Env) count(quiet bool) {
	e.measured++
	if !quiet {
		e.disturbed++
	}
}
