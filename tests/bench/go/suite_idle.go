package main

import (
	"context"
	"fmt"
	"os"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

// runIdle connects many sessions that do nothing, and looks at what they cost.
func runIdle(env *Env) ([]*Row, error) {
	n := env.Plan.Sessions
	daemon := env.Pid[hearthd]
	const sessionMemory = "hearth-session"
	ownBefore, daemonBefore := anonymousKiB(os.Getpid()), anonymousKiB(daemon)
	filesBefore := mappedKiB(daemon, sessionMemory)
	var clients []*hearth.Client
	defer func() {
		for _, client := range clients {
			client.Close()
		}
	}()
	start := time.Now()
	for range n {
		client, _, err := dialHearth(env)
		if err != nil {
			return nil, fmt.Errorf("session %d: %w", len(clients), err)
		}
		clients = append(clients, client)
	}
	dialed := time.Since(start)
	// Each has been used once, so that nothing is left to be set up.
	for _, client := range clients {
		if _, err := client.Call(context.Background(), "hearth.echo", nil, []byte("x")); err != nil {
			return nil, err
		}
	}
	time.Sleep(env.Plan.Idle / 5)
	files := (mappedKiB(daemon, sessionMemory) - filesBefore) / float64(n)
	daemonEach := (anonymousKiB(daemon) - daemonBefore) / float64(n)
	ownEach := (anonymousKiB(os.Getpid()) - ownBefore) / float64(n)
	daemonCPU, ownCPU, err := idleCPU(daemon, env.Plan.Idle)
	if err != nil {
		return nil, err
	}
	of := func(figure, unit string, v float64) *Row {
		return &Row{Figure: figure, Unit: unit, Hearth: newSeries("Hearth", []float64{v})}
	}
	cpu := of(fmt.Sprintf("CPU of hearthd with %d idle sessions", n), "%", daemonCPU)
	cpu.Judge(targetIdle, "0.0 %", daemonCPU < 0.05)
	memory := of("memory of an idle session", "KiB", files+daemonEach)
	memory.Judge(targetIdle, "below 300 KiB", files+daemonEach < 300)
	memory.Noted("rings %.0f KiB, hearthd %.1f KiB; the client's own heap and stacks take %.1f KiB more", files, daemonEach, ownEach)
	return []*Row{
		cpu, memory,
		of("CPU of a process with as many idle clients", "%", ownCPU),
		of("connecting", "us", float64(dialed.Microseconds())/float64(n)).Noted("handshake, mappings, goroutines; one after the other"),
	}, nil
}

// idleCPU is what the daemon and this process use, in percent of one CPU.
func idleCPU(daemon int, window time.Duration) (theirs, own float64, err error) {
	var before, after [2]time.Duration
	pids := [2]int{daemon, os.Getpid()}
	start := time.Now()
	for i, pid := range pids {
		if before[i], err = processCPU(pid); err != nil {
			return 0, 0, err
		}
	}
	time.Sleep(window)
	for i, pid := range pids {
		if after[i], err = processCPU(pid); err != nil {
			return 0, 0, err
		}
	}
	all := float64(time.Since(start))
	return 100 * float64(after[0]-before[0]) / all, 100 * float64(after[1]-before[1]) / all, nil
}
