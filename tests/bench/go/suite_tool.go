package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// tool runs the hearth command and decodes its JSON.
func tool(env *Env, answer any, arguments ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	arguments = append([]string{"--socket", env.Address[hearthd], "--json"}, arguments...)
	command := exec.CommandContext(ctx, toolPath(env), arguments...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		return fmt.Errorf("hearth %v: %w: %s", arguments[3:], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return json.Unmarshal(output, answer)
}

func toolPath(env *Env) string { return filepath.Join(env.Build, "tools/hearth/hearth") }

func haveTool(env *Env) bool {
	_, err := os.Stat(toolPath(env))
	return err == nil
}

const noTool = "the build has no tools/hearth/hearth"

// runPrewarm loads a file of JSON lines with the command line tool.
func runPrewarm(env *Env) ([]*Row, error) {
	figure := fmt.Sprintf("prewarm from JSON lines, %s x 64 B", count(env.Plan.Lines))
	if !haveTool(env) {
		return []*Row{{Figure: figure, Skipped: noTool}}, nil
	}
	path := filepath.Join(env.Dir, "prewarm.jsonl")
	if err := writeLines(path, env.Plan.Lines); err != nil {
		return nil, err
	}
	defer os.Remove(path)
	contest := newContest(env)
	contest.Add("Hearth", func(warm bool) (Outcome, error) {
		var summary struct {
			Loaded int `json:"loaded"`
		}
		start := time.Now()
		if err := tool(env, &summary, "prewarm", path); err != nil {
			return Outcome{}, err
		}
		took := time.Since(start).Seconds()
		if summary.Loaded != env.Plan.Lines {
			return Outcome{}, fmt.Errorf("%d of %d lines were loaded", summary.Loaded, env.Plan.Lines)
		}
		return value("rate", float64(env.Plan.Lines)/took), nil
	})
	if err := contest.Run(min(env.Plan.Rounds, 3)); err != nil {
		return nil, err
	}
	row := contest.Row(figure, "1/s", "rate", "Hearth", "")
	return []*Row{row.Judge(targetSets, "500 k/s from JSON lines", row.Hearth.Median >= 500_000)}, nil
}

func writeLines(path string, lines int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	value := bytes.Repeat([]byte{'v'}, valueSize)
	for i := range lines {
		fmt.Fprintf(out, "{\"key\": \"user:%011d\", \"value\": \"%s\"}\n", i, value)
	}
	return out.Flush()
}

// storeStatus is what `hearth status --json` says of a store.
type storeStatus struct {
	SegmentBytes float64 `json:"segment_bytes"`
	Segments     float64 `json:"segments"`
	FreeSegments float64 `json:"free_segments"`
	Entries      float64 `json:"entries"`
	LiveBytes    float64 `json:"live_bytes"`
	IndexPages   float64 `json:"index_pages"`
	Evicted      float64 `json:"evicted_entries"`
}

func readStatus(env *Env) (*storeStatus, error) {
	var status struct {
		Stores []storeStatus `json:"stores"`
	}
	if err := tool(env, &status, "status"); err != nil {
		return nil, err
	}
	if len(status.Stores) != 1 || status.Stores[0].Segments == 0 {
		return nil, fmt.Errorf("status tells of %d stores", len(status.Stores))
	}
	return &status.Stores[0], nil
}

// runBytes fills a store with small entries, and counts what they take beyond the bytes of keys and
// values. All pages of the index fill up at about the same time, are split, and are half empty
// then, so that it takes between its least and twice as much: the average is taken while the
// number of entries doubles, up to a store that is 80 % full.
func runBytes(env *Env) ([]*Row, error) {
	const figure = "memory for each entry beyond key and value, up to 80 % full, 15 B + 64 B"
	if !haveTool(env) {
		return []*Row{{Figure: figure, Skipped: noTool}}, nil
	}
	client, namespace, err := dialHearth(env)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	const steps, indexPage = 60, 64 << 10
	step := env.Plan.StoreMiB * 200 // about a fortieth of what fits
	value := bytes.Repeat([]byte{7}, valueSize)
	var each []float64
	for stored := 0; stored < steps*step; stored += step {
		keys := make([]string, step)
		for i := range keys {
			keys[i] = fmt.Sprintf("user:%010d", stored+i)
		}
		if err := fill(client, namespace, keys, value); err != nil {
			return nil, err
		}
		s, err := readStatus(env)
		if err != nil {
			return nil, err
		}
		if s.Evicted != 0 || s.Entries != float64(stored+step) {
			return nil, fmt.Errorf("%v entries of %d, %v evicted", s.Entries, stored+step, s.Evicted)
		}
		each = append(each, (s.LiveBytes+s.IndexPages*indexPage)/s.Entries-float64(len(keys[0])+valueSize))
		if s.FreeSegments <= 0.2*s.Segments {
			break
		}
	}
	return bytesRows(figure, each[len(each)/2:]), nil
}

func bytesRows(figure string, each []float64) []*Row {
	sum := 0.0
	for _, bytes := range each {
		sum += bytes
	}
	mean := sum / float64(len(each))
	row := &Row{Figure: figure, Unit: "B", Hearth: newSeries("Hearth", []float64{mean})}
	row.Judge(targetBytes, "44 B or less on average", mean <= 44)
	row.Noted("between %.1f and %.1f B while the number of entries doubles; index pages included, dead space not (nothing was overwritten)",
		slices.Min(each), slices.Max(each))
	return []*Row{row}
}
