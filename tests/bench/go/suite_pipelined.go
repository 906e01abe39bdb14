package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

const goroutines = 64

// together runs a loop in many goroutines at once, each with what make gives it, until the time is
// over, and reports operations for each second.
func together(slice time.Duration, make func(i int) func() error) Measure {
	operations := [goroutines]func() error{}
	for i := range operations {
		operations[i] = make(i)
	}
	return func(warm bool) (Outcome, error) {
		if warm {
			slice := slice / 4
			_, err := runTogether(slice, operations[:])
			return Outcome{}, err
		}
		rate, err := runTogether(slice, operations[:])
		return value("rate", rate), err
	}
}

func runTogether(slice time.Duration, operations []func() error) (float64, error) {
	var stop atomic.Bool
	var done atomic.Uint64
	var first atomic.Pointer[error]
	var all sync.WaitGroup
	start := time.Now()
	for _, operation := range operations {
		all.Add(1)
		go func() {
			defer all.Done()
			n := uint64(0)
			for !stop.Load() {
				if err := operation(); err != nil {
					first.CompareAndSwap(nil, &err)
					stop.Store(true)
				}
				n++
			}
			done.Add(n)
		}()
	}
	timer := time.AfterFunc(slice, func() { stop.Store(true) })
	defer timer.Stop()
	all.Wait()
	if err := first.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / time.Since(start).Seconds(), nil
}

// runPipelined keeps 64 goroutines busy.
func runPipelined(env *Env) ([]*Row, error) {
	rows, err := pipelinedCalls(env)
	if err != nil {
		return nil, err
	}
	more, err := pipelinedSets(env)
	return append(rows, more...), err
}

// echoTogether gives each goroutine a request, and a connection of its own unless one serves all.
func echoTogether(env *Env, name string, shared bool) (Measure, func(), error) {
	var opened []echoPeer
	closeAll := func() { closePeers(opened) }
	for range goroutines {
		if shared && len(opened) == 1 {
			break
		}
		e, err := dialEcho(env, name)
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		opened = append(opened, echoPeer{name, 0, e})
	}
	measure := together(env.Plan.Slice, func(i int) func() error {
		request, answer := bytes.Repeat([]byte{byte(i)}, valueSize), make([]byte, 0, valueSize)
		e := opened[i%len(opened)].echoer
		return func() (err error) {
			answer, err = echoOnce(e, answer, request)
			return err
		}
	})
	return measure, closeAll, nil
}

func pipelinedCalls(env *Env) ([]*Row, error) {
	const figure = "calls from 64 goroutines, echo 64 B"
	contest := newContest(env)
	var rows []*Row
	for _, side := range []struct {
		name, shown string
		shared      bool
	}{{hearthd, "Hearth", true}, {socketEcho, socketEcho + ", 64 connections", false}, {grpcEcho, grpcEcho, true}} {
		if why := env.Missing[side.name]; why != "" {
			rows = append(rows, &Row{Figure: figure, Skipped: side.name + ": " + why})
			continue
		}
		measure, closeAll, err := echoTogether(env, side.name, side.shared)
		if err != nil {
			return nil, err
		}
		defer closeAll()
		contest.Add(side.shown, measure)
	}
	if err := contest.Run(env.Plan.Rounds); err != nil {
		return nil, err
	}
	row := contest.Row(figure, "1/s", "rate", "Hearth", "")
	found := []*Row{row.Judge(targetPipelined, "2 M/s", row.Hearth.Median >= 2e6)}
	for _, peer := range contest.Sides[1:] {
		found = append(found, contest.Row(figure, "1/s", "rate", "Hearth", peer.Name))
	}
	return append(found, rows...), nil
}

// setKeys are what one goroutine writes, in turn.
func setKeys(goroutine int) []string {
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("set:%03d:%08d", goroutine, i)
	}
	return keys
}

func pipelinedSets(env *Env) ([]*Row, error) {
	const figure = "acknowledged sets from 64 goroutines, 64 B"
	const bulk = "SetAsync and Flush from 1 goroutine, 64 B"
	client, namespace, err := dialHearth(env)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, value := context.Background(), bytes.Repeat([]byte{7}, valueSize)
	contest := newContest(env)
	contest.Add("Hearth", together(env.Plan.Slice, func(i int) func() error {
		keys, next := setKeys(i), 0
		return func() error {
			next++
			return namespace.Set(ctx, keys[next%len(keys)], value)
		}
	}))
	contest.Add(bulk, queueing(ctx, env.Plan.Slice, client, namespace, value))
	var rows []*Row
	if why := env.Missing[redis]; why == "" {
		measure, closeAll, err := redisSets(env, value)
		if err != nil {
			return nil, err
		}
		defer closeAll()
		contest.Add(redis+", 64 connections", measure)
	} else {
		rows = append(rows, &Row{Figure: figure, Skipped: redis + ": " + why})
	}
	if err := contest.Run(env.Plan.Rounds); err != nil {
		return nil, err
	}
	row := contest.Row(figure, "1/s", "rate", "Hearth", "")
	rows = append(rows, row.Judge(targetSets, "1.5 M/s", row.Hearth.Median >= 1.5e6))
	if peer := contest.Row(figure, "1/s", "rate", "Hearth", redis+", 64 connections"); peer.Peer != nil {
		rows = append(rows, peer)
	}
	return append(rows, contest.Row(bulk, "1/s", "rate", bulk, "")), nil
}

// queueing sets without waiting for answers, and waits for all of them at the end.
func queueing(ctx context.Context, slice time.Duration, client *hearth.Client, namespace *hearth.Namespace, bytes []byte) Measure {
	const step = 1000
	keys, next := setKeys(goroutines), 0
	return func(bool) (Outcome, error) {
		done, start := 0, time.Now()
		for ; time.Since(start) < slice; done += step {
			for range step {
				next++
				if err := namespace.SetAsync(ctx, keys[next%len(keys)], bytes); err != nil {
					return Outcome{}, err
				}
			}
		}
		err := client.Flush(ctx)
		return value("rate", float64(done)/time.Since(start).Seconds()), err
	}
}

func redisSets(env *Env, value []byte) (Measure, func(), error) {
	var clients []*textClient
	closeAll := func() {
		for _, client := range clients {
			client.close()
		}
	}
	for range goroutines {
		client, err := dialText(env.Address[redis], redisProtocol)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		clients = append(clients, client)
	}
	return together(env.Plan.Slice, func(i int) func() error {
		keys, next := setKeys(i), 0
		return func() error {
			next++
			return clients[i].set(keys[next%len(keys)], value)
		}
	}), closeAll, nil
}
