package main

import (
	"bufio"
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSidesTakeTurnsAndTheWarmRoundDoesNotCount(t *testing.T) {
	var order []string
	contest := newContest(&Env{})
	for i, name := range []string{"a", "b", "c"} {
		contest.Add(name, func(warm bool) (Outcome, error) {
			if !warm {
				order = append(order, name)
			}
			return value("v", float64(10*(i+1)+len(order))), nil
		})
	}
	if err := contest.Run(3); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "bcacababc" {
		t.Errorf("the order was %s", got)
	}
	if n := len(contest.Side("a").Series("v").Rounds); n != 3 {
		t.Errorf("%d rounds count", n)
	}
}

func TestARatioIsThatOfTheMediansAndItsSpreadThatOfTheRounds(t *testing.T) {
	a, b := newSeries("a", []float64{10, 30, 20}), newSeries("b", []float64{5, 10, 40})
	ratio := ratioOf(a, b)
	if ratio.Median != 2 || ratio.Min != 0.5 || ratio.Max != 3 {
		t.Errorf("%+v", ratio)
	}
}

func TestLatenciesBecomePercentilesOfEachRoundAndOfAll(t *testing.T) {
	contest := newContest(&Env{})
	round := int64(0)
	contest.Add("a", func(warm bool) (Outcome, error) {
		h := &Histogram{}
		for range 100 {
			h.Record(100 * round)
		}
		round++
		return Outcome{Latencies: map[string]*Histogram{"call": h}}, nil
	})
	if err := contest.Run(2); err != nil {
		t.Fatal(err)
	}
	s := contest.Side("a").Series("call.p50")
	if !slices.Equal(s.Rounds, []float64{100, 200}) || s.Percentiles["count"] != 200 || s.Percentiles["max"] != 200 {
		t.Errorf("%+v", s)
	}
}

func TestALoopIsTimedInChunks(t *testing.T) {
	measure := timed(20*time.Millisecond, func(n int) error {
		for start := time.Now(); time.Since(start) < time.Duration(n)*10*time.Microsecond; {
			continue
		}
		return nil
	})
	if _, err := measure(true); err != nil {
		t.Fatal(err)
	}
	outcome, err := measure(false)
	// Never less; how much more depends on what else runs.
	if ns := outcome.Values["ns"]; err != nil || ns < 9_900 {
		t.Errorf("%v ns, %v", ns, err)
	}
}

func TestThePacerKeepsItsSchedule(t *testing.T) {
	const period = 2 * time.Millisecond
	pacer, err := NewPacer(period)
	if err != nil {
		t.Fatal(err)
	}
	defer pacer.Close()
	var last time.Time
	for i := range 20 {
		due, err := pacer.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if early := time.Until(due); early > 100*time.Microsecond {
			t.Errorf("released %v early", early)
		}
		if i > 0 && due.Sub(last) != period {
			t.Errorf("the next instant is %v later", due.Sub(last))
		}
		last = due
	}
}

func TestTextProtocols(t *testing.T) {
	cases := []struct {
		name            string
		protocol        textProtocol
		get, set, found string
		missing         string
	}{
		{"Redis", redisProtocol, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$2\r\nvv\r\n", "$2\r\nvv\r\n", "$-1\r\n"},
		{"memcached", memcachedProtocol, "get key\r\n", "set key 0 0 2\r\nvv\r\n", "VALUE key 0 2\r\nvv\r\nEND\r\n", "END\r\n"},
	}
	for _, c := range cases {
		if got := string(c.protocol.get(nil, "key")); got != c.get {
			t.Errorf("%s: get is %q", c.name, got)
		}
		if got := string(c.protocol.set(nil, "key", []byte("vv"))); got != c.set {
			t.Errorf("%s: set is %q", c.name, got)
		}
		reader := bufio.NewReader(strings.NewReader(c.found + c.missing))
		if got, err := c.protocol.read(reader, []byte("x")); err != nil || string(got) != "xvv" {
			t.Errorf("%s: read %q, %v", c.name, got, err)
		}
		if _, err := c.protocol.read(reader, nil); err == nil {
			t.Errorf("%s: a missing key is no error", c.name)
		}
	}
}

func TestTargetsAreJudgedByAllTheirRows(t *testing.T) {
	row := func(reached bool) *Row {
		r := &Row{Figure: "f", Unit: "ns", Hearth: newSeries("Hearth", []float64{1})}
		return r.Judge(targetHot, "d", reached)
	}
	verdict := func(rows ...*Row) string { return judge(&Report{Found: Found{Rows: rows}})[0].Reached }
	for want, rows := range map[string][]*Row{"yes": {row(true), row(true)}, "no": {row(true), row(false)}, "not measured": nil} {
		if got := verdict(rows...); got != want {
			t.Errorf("%d rows: %s instead of %s", len(rows), got, want)
		}
	}
}

func TestAResultGoesIntoItsPlaceInADocument(t *testing.T) {
	dir := t.TempDir()
	document := dir + "/d.md"
	if err := os.WriteFile(dir+"/r.json", []byte(`{"rows": [{"suite": "hot", "figure": "f", "skipped": "because"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(document, []byte("before\n"+markdownBegin+"\nold\n"+markdownEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again changes nothing
		if err := markdown([]string{dir + "/r.json", document}); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(document)
		if !bytes.HasPrefix(text, []byte("before\n"+markdownBegin+"\n")) || !bytes.HasSuffix(text, []byte(markdownEnd+"\nafter\n")) ||
			bytes.Contains(text, []byte("old")) || !bytes.Contains(text, []byte("skipped: because")) {
			t.Errorf("%s", text)
		}
	}
}

func TestTheCPUClockOfAProcessRuns(t *testing.T) {
	before, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; {
		continue
	}
	if after, err := processCPU(os.Getpid()); err != nil || after <= before {
		t.Errorf("from %v to %v, %v", before, after, err)
	}
}
