package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

// multiSize is how many keys one GetMulti reads.
const multiSize = 64

// keySpace is many keys and an order in which they are read.
type keySpace struct {
	keys  []string // strings of their own
	reads []string // the same keys at random, other strings, in one piece of memory
	next  int
}

// newKeySpace makes keys. Those that are looked up are other strings than those that are stored, as
// in a service, where a key comes out of a request: a map must then fetch its own copy of the key
// to compare, as Hearth must. They lie one after the other, because a key that was just parsed is in
// the CPU's cache.
func newKeySpace(n int) *keySpace {
	s := &keySpace{keys: make([]string, n), reads: make([]string, n)}
	const length = len(hotKey)
	for i := range s.keys {
		s.keys[i] = fmt.Sprintf("user:%0*d", length-len("user:"), i)
	}
	text := make([]byte, 0, n*length)
	order := rand.New(rand.NewPCG(5, 6)).Perm(n)
	for _, i := range order {
		text = append(text, s.keys[i]...)
	}
	all := string(text)
	for i := range s.reads {
		s.reads[i] = all[i*length : (i+1)*length]
	}
	return s
}

// take returns the next key to read, beginning again at the end.
func (s *keySpace) take() string {
	if s.next++; s.next >= len(s.reads) {
		s.next = 0
	}
	return s.reads[s.next]
}

// runRandom reads keys at random.
func runRandom(env *Env) ([]*Row, error) {
	client, namespace, err := dialHearth(env, hearth.WithRingBytes(1<<20, 1<<20))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	space := newKeySpace(env.Plan.Keys)
	value := bytes.Repeat([]byte{7}, valueSize)
	if err := fill(client, namespace, space.keys, value); err != nil {
		return nil, err
	}
	rows, err := firstTouch(namespace, space)
	if err != nil {
		return nil, err
	}
	more, err := randomAgainstMap(env, namespace, space, value)
	if err != nil {
		return nil, err
	}
	rows = append(rows, more...)
	if more, err = randomMulti(env, namespace, space); err != nil {
		return nil, err
	}
	rows = append(rows, more...)
	if more, err = randomAgainstServers(env, namespace, space, value); err != nil {
		return nil, err
	}
	return append(rows, more...), nil
}

func randomLoop(namespace *hearth.Namespace, space *keySpace) Loop {
	buffer := make([]byte, 0, valueSize)
	return func(n int) error {
		var err error
		for range n {
			if buffer, _, err = namespace.GetAppend(buffer[:0], space.take()); err != nil {
				return err
			}
		}
		return checkLength(buffer, valueSize)
	}
}

// firstTouch reads every key once through a mapping that this process has not read before (writing
// goes through the daemon), and then once more.
func firstTouch(namespace *hearth.Namespace, space *keySpace) ([]*Row, error) {
	n := min(len(space.reads), 50_000)
	loop := randomLoop(namespace, space)
	var ns [2]float64
	for pass := range ns {
		space.next = 0
		start := time.Now()
		if err := loop(n); err != nil {
			return nil, err
		}
		ns[pass] = float64(time.Since(start)) / float64(n)
	}
	row := &Row{
		Figure: fmt.Sprintf("first %d random reads of a new process", n), Unit: "ns",
		Hearth: newSeries("Hearth, first touch", ns[:1]), Peer: newSeries("the same reads again", ns[1:]),
	}
	row.Ratio = ratioOf(row.Hearth, row.Peer)
	return []*Row{row.Noted("page faults of a fresh mapping; one pass, no rounds")}, nil
}

func randomAgainstMap(env *Env, namespace *hearth.Namespace, space *keySpace, value []byte) ([]*Row, error) {
	m := make(map[string][]byte, len(space.keys))
	for _, key := range space.keys {
		m[key] = bytes.Clone(value)
	}
	mapLoop := func() Loop {
		own := &keySpace{reads: space.reads}
		buffer := make([]byte, 0, valueSize)
		return func(n int) error {
			for range n {
				buffer = append(buffer[:0], m[own.take()]...)
			}
			return checkLength(buffer, valueSize)
		}
	}
	ownLoop := func(from int) Loop {
		return randomLoop(namespace, &keySpace{reads: space.reads, next: from})
	}
	half := len(space.reads) / 2
	contest := newContest(env)
	contest.Add("Hearth", timed(env.Plan.Slice, ownLoop(0)))
	contest.Add("map + copy", timed(env.Plan.Slice, mapLoop()))
	twoOwn, twoMaps := []Loop{ownLoop(0), ownLoop(half)}, []Loop{mapLoop(), mapLoop()}
	contest.Add("Hearth, 2", timed(env.Plan.Slice, func(n int) error { return inParallel(twoOwn, n) }))
	contest.Add("map + copy, 2", timed(env.Plan.Slice, func(n int) error { return inParallel(twoMaps, n) }))
	if err := contest.Run(env.Plan.Rounds); err != nil {
		return nil, err
	}
	figure := fmt.Sprintf("GetAppend, random among %s x 64 B", count(len(space.keys)))
	row := contest.Row(figure, "ns", "ns", "Hearth", "map + copy")
	row.Judge(targetRandom, "at most 1.1 x the map", row.Ratio.Median <= 1.1)
	return []*Row{row, contest.Row(figure+", 2 goroutines, each", "ns", "ns", "Hearth, 2", "map + copy, 2")}, nil
}

// randomMulti compares one GetMulti with single reads of as many keys.
func randomMulti(env *Env, namespace *hearth.Namespace, space *keySpace) ([]*Row, error) {
	items := make([]hearth.Item, multiSize)
	buffer := make([]byte, 0, multiSize*valueSize)
	multi := func(n int) error {
		for range n {
			for i := range items {
				items[i].Key = space.take()
			}
			buffer = namespace.GetMulti(buffer[:0], items)
			for i := range items {
				if items[i].Err != nil {
					return items[i].Err
				}
			}
		}
		return nil
	}
	contest := newContest(env)
	contest.Add("Hearth, GetMulti", forEach(multiSize, timed(env.Plan.Slice, multi)))
	contest.Add("Hearth, GetAppend", timed(env.Plan.Slice, randomLoop(namespace, &keySpace{reads: space.reads})))
	if err := contest.Run(env.Plan.Rounds); err != nil {
		return nil, err
	}
	figure := fmt.Sprintf("GetMulti of %d random keys among %s, each key", multiSize, count(len(space.keys)))
	row := contest.Row(figure, "ns", "ns", "Hearth, GetMulti", "Hearth, GetAppend")
	return []*Row{row.Judge(targetMulti, "at most half of single reads", row.Ratio.Median <= 0.5)}, nil
}

// randomAgainstServers compares with servers over Unix sockets that hold the same keys.
func randomAgainstServers(env *Env, namespace *hearth.Namespace, space *keySpace, value []byte) ([]*Row, error) {
	figure := fmt.Sprintf("GetAppend, random among %s x 64 B", count(len(space.keys)))
	contest := newContest(env)
	var rows []*Row
	contest.Add("Hearth", timed(env.Plan.Slice, randomLoop(namespace, &keySpace{reads: space.reads})))
	for name, protocol := range map[string]textProtocol{redis: redisProtocol, memcached: memcachedProtocol} {
		if why := env.Missing[name]; why != "" {
			rows = append(rows, &Row{Figure: figure, Skipped: name + ": " + why})
			continue
		}
		peer, err := dialText(env.Address[name], protocol)
		if err != nil {
			return nil, err
		}
		defer peer.close()
		if err := peer.fill(space.keys, value); err != nil {
			return nil, err
		}
		contest.Add(name, timed(env.Plan.Slice, textLoop(peer, &keySpace{reads: space.reads})))
	}
	if err := contest.Run(env.Plan.Rounds); err != nil {
		return nil, err
	}
	for _, name := range []string{redis, memcached} {
		if row := contest.Row(figure, "ns", "ns", "Hearth", name); row.Peer != nil {
			rows = append(rows, row.Judge(targetRandom, "200 x faster", row.Ratio.Median <= 1.0/200))
		}
	}
	return rows, nil
}

func textLoop(peer *textClient, space *keySpace) Loop {
	buffer := make([]byte, 0, valueSize)
	return func(n int) error {
		var err error
		for range n {
			if buffer, err = peer.get(buffer[:0], space.take()); err != nil {
				return err
			}
		}
		return checkLength(buffer, valueSize)
	}
}

// count writes 1000000 as 1 M.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return fmt.Sprintf("%g M", float64(n)/1e6)
	case n >= 1000 && n%100 == 0:
		return fmt.Sprintf("%g k", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}
