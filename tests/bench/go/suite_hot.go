package main

import (
	"bytes"
	"fmt"
	"sync"

	hearth "github.com/hearthd/hearth/go-binding"
)

const (
	hotKey    = "user:00001234567"
	valueSize = 64
)

// cachePeer is an in-process cache that holds hotKey. Its loops come in two kinds, because such a
// cache hands out the value it holds, which all callers share and nobody may change: reading alone,
// and reading followed by the copy that GetAppend makes.
type cachePeer struct {
	name      string
	reference Loop
	copied    Loop
}

// runHot reads one key again and again.
func runHot(env *Env) ([]*Row, error) {
	client, namespace, err := dialHearth(env)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var rows []*Row
	for _, part := range []func(*Env, *hearth.Client, *hearth.Namespace) ([]*Row, error){hotAgainstCaches, hotSizes, hotParallel} {
		more, err := part(env, client, namespace)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func hotAgainstCaches(env *Env, client *hearth.Client, namespace *hearth.Namespace) ([]*Row, error) {
	value := bytes.Repeat([]byte{7}, valueSize)
	if err := fill(client, namespace, []string{hotKey}, value); err != nil {
		return nil, err
	}
	peers, err := cachePeers(hotKey, value)
	if err != nil {
		return nil, err
	}
	peers = append([]cachePeer{mapPeer(hotKey, value), syncMapPeer(hotKey, value)}, peers...)
	contest := newContest(env)
	own := hearthLoop(namespace, hotKey, valueSize)
	contest.Add("Hearth", timed(env.Plan.Slice, own))
	for _, peer := range peers {
		contest.Add(peer.name+" + copy", timed(env.Plan.Slice, peer.copied))
		contest.Add(peer.name, timed(env.Plan.Slice, peer.reference))
	}
	if err := contest.Run(env.Plan.Rounds); err != nil {
		return nil, err
	}
	const figure = "GetAppend, hot key, 64 B"
	row := contest.Row(figure, "ns", "ns", "Hearth", "")
	if row.Hearth.Allocs, err = allocations(10_000, own); err != nil {
		return nil, err
	}
	row.Judge(targetHot, "at most 30 ns", row.Hearth.Median <= 30)
	row.Judge(targetHot, "0 allocations", *row.Hearth.Allocs == 0)
	rows := []*Row{row}
	for _, peer := range peers {
		row := contest.Row(figure, "ns", "ns", "Hearth", peer.name+" + copy")
		if row.Peer.Allocs, err = allocations(10_000, peer.copied); err != nil {
			return nil, err
		}
		if peer.name != "map" { // it is no cache: no eviction, no concurrent writer
			row.Judge(targetHot, "no slower", row.Ratio.Median <= 1)
		}
		rows = append(rows, row, contest.Row(figure+" (peer without the copy)", "ns", "ns", "Hearth", peer.name))
	}
	if !havePeers {
		rows = append(rows, &Row{Figure: figure, Skipped: "otter and ristretto: " + noPeers})
	}
	return rows, nil
}

func mapPeer(key string, value []byte) cachePeer {
	m := map[string][]byte{key: bytes.Clone(value)}
	buffer := make([]byte, 0, len(value))
	return cachePeer{
		name: "map",
		copied: func(n int) error {
			for range n {
				buffer = append(buffer[:0], m[key]...)
			}
			return checkLength(buffer, len(value))
		},
		reference: func(n int) error {
			var found []byte
			for range n {
				found = m[key]
			}
			return checkLength(found, len(value))
		},
	}
}

func syncMapPeer(key string, value []byte) cachePeer {
	var m sync.Map
	m.Store(key, bytes.Clone(value))
	buffer := make([]byte, 0, len(value))
	return cachePeer{
		name: "sync.Map",
		copied: func(n int) error {
			for range n {
				found, _ := m.Load(key)
				buffer = append(buffer[:0], found.([]byte)...)
			}
			return checkLength(buffer, len(value))
		},
		reference: func(n int) error {
			var found any
			for range n {
				found, _ = m.Load(key)
			}
			return checkLength(found.([]byte), len(value))
		},
	}
}

// hotSizes compares values of several sizes with a map and a copy.
func hotSizes(env *Env, client *hearth.Client, namespace *hearth.Namespace) ([]*Row, error) {
	var rows []*Row
	for _, size := range []int{1 << 10, 64 << 10} {
		key := fmt.Sprintf("size:%011d", size)
		value := bytes.Repeat([]byte{9}, size)
		if err := fill(client, namespace, []string{key}, value); err != nil {
			return nil, err
		}
		contest := newContest(env)
		contest.Add("Hearth", timed(env.Plan.Slice, hearthLoop(namespace, key, size)))
		contest.Add("map + copy", timed(env.Plan.Slice, mapPeer(key, value).copied))
		if err := contest.Run(env.Plan.Rounds); err != nil {
			return nil, err
		}
		figure := fmt.Sprintf("GetAppend, hot key, %d KiB", size>>10)
		rows = append(rows, contest.Row(figure, "ns", "ns", "Hearth", "map + copy"))
	}
	return rows, nil
}

// hotParallel reads the hot key from two goroutines at once.
func hotParallel(env *Env, client *hearth.Client, namespace *hearth.Namespace) ([]*Row, error) {
	value := bytes.Repeat([]byte{7}, valueSize)
	two := func(make func() Loop) Measure {
		loops := []Loop{make(), make()}
		return timed(env.Plan.Slice, func(n int) error { return inParallel(loops, n) })
	}
	contest := newContest(env)
	contest.Add("Hearth", two(func() Loop { return hearthLoop(namespace, hotKey, valueSize) }))
	contest.Add("Hearth, 1 goroutine", timed(env.Plan.Slice, hearthLoop(namespace, hotKey, valueSize)))
	peers, err := cachePeers(hotKey, value)
	if err != nil {
		return nil, err
	}
	peers = append([]cachePeer{syncMapPeer(hotKey, value)}, peers...)
	for i := range peers {
		// One cache, read by both; each has a buffer of its own.
		contest.Add(peers[i].name, two(func() Loop { return peers[i].reference }))
	}
	if err := contest.Run(env.Plan.Rounds); err != nil {
		return nil, err
	}
	const figure = "GetAppend, hot key, 64 B, 2 goroutines, each"
	rows := []*Row{contest.Row(figure, "ns", "ns", "Hearth", "Hearth, 1 goroutine")}
	for _, peer := range peers {
		rows = append(rows, contest.Row(figure+" (peer without the copy)", "ns", "ns", "Hearth", peer.name))
	}
	return rows, nil
}

// inParallel runs n operations of each loop at the same time.
func inParallel(loops []Loop, n int) error {
	results := make(chan error, len(loops))
	for _, loop := range loops {
		go func() { results <- loop(n) }()
	}
	var first error
	for range loops {
		if err := <-results; first == nil {
			first = err
		}
	}
	return first
}
