package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// Report is the JSON of a run.
type Report struct {
	Machine Machine `json:"machine"`
	Plan    Plan    `json:"plan"`
	Seconds float64 `json:"seconds"`
	Found
	Targets []TargetResult `json:"targets"`
	// Failed says which suites gave no results, and why.
	Failed map[string]string `json:"failed,omitempty"`
}

// drive runs the chosen suites and prints what they found.
func drive(o *options) error {
	// Processes are started with a parent-death signal, which follows the thread that started them.
	// (Not in a worker: a goroutine that is bound to a thread is woken more slowly.)
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	dir, err := os.MkdirTemp("", "hearth-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	start, startCPU := time.Now(), readCPUTimes()
	report := Report{Machine: describeMachine(o.root, o.compiler), Plan: o.plan, Failed: map[string]string{}}
	for _, suite := range suites() {
		if !o.only.MatchString(suite.Name) || ctx.Err() != nil {
			continue
		}
		suiteStart := time.Now()
		env := &Env{Plan: o.plan, Dir: dir, Build: o.build}
		found, err := runSuite(ctx, suite, env)
		for _, row := range found.Rows {
			row.Suite = suite.Name
		}
		if err != nil {
			report.Failed[suite.Name] = err.Error()
			progress("%s failed: %v", suite.Name, err)
		}
		report.Rows = append(report.Rows, found.Rows...)
		report.Measured += found.Measured
		report.Disturbed += found.Disturbed
		fmt.Printf("\n%s: %s (%.0f s)\n", suite.Name, suite.About, time.Since(suiteStart).Seconds())
		printTable(os.Stdout, found.Rows)
	}
	report.Seconds = time.Since(start).Seconds()
	report.Machine.sinceStart(startCPU)
	report.Targets = judge(&report)
	if err := finish(o, &report); err != nil {
		return err
	}
	return ctx.Err()
}

func finish(o *options, report *Report) error {
	if o.json != "" {
		text, err := json.MarshalIndent(report, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if !o.smoke {
		printTargets(os.Stdout, report)
		if len(report.Failed) > 0 {
			return fmt.Errorf("%d suites failed", len(report.Failed))
		}
		return nil
	}
	return countRows(report)
}

// countRows ends a smoke run: it says whether every benchmark still runs and finds something.
func countRows(report *Report) error {
	passed, failed, skipped := 0, len(report.Failed), 0
	for _, row := range report.Rows {
		name := row.Suite + "/" + row.Figure
		switch {
		case row.Skipped != "":
			skipped++
			fmt.Printf("SKIP %s: %s\n", name, row.Skipped)
		case row.Hearth == nil || !(row.Hearth.Median >= 0) || row.Ratio != nil && !(row.Ratio.Median > 0):
			failed++
			fmt.Printf("FAIL %s: no figure\n", name)
		default:
			passed++
		}
	}
	for name, why := range report.Failed {
		fmt.Printf("FAIL %s: %s\n", name, why)
	}
	fmt.Printf("%d passed, %d failed", passed, failed)
	if skipped > 0 {
		fmt.Printf(", %d skipped", skipped)
	}
	fmt.Println()
	if failed > 0 {
		return errors.New("not every benchmark works")
	}
	return nil
}

// runSuite starts the suite's servers, then its worker, and ends all of them.
func runSuite(ctx context.Context, suite Suite, env *Env) (Found, error) {
	progress("%s: %s", suite.Name, suite.About)
	env.Address, env.Pid, env.Missing = map[string]string{}, map[string]int{}, map[string]string{}
	for _, name := range suite.Needs {
		s, err := startServer(name, env)
		if err != nil {
			env.Missing[name] = err.Error()
			if name == hearthd {
				return Found{}, fmt.Errorf("hearthd: %w", err)
			}
			continue
		}
		defer s.stop()
		env.Address[name], env.Pid[name] = s.address, s.command.Process.Pid
	}
	return runWorker(ctx, suite, env)
}

func runWorker(ctx context.Context, suite Suite, env *Env) (found Found, err error) {
	ctx, cancel := context.WithTimeout(ctx, suite.Limit+env.Plan.Patience)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return found, err
	}
	input, err := json.Marshal(env)
	if err != nil {
		return found, err
	}
	results, resultsOfWorker, err := os.Pipe()
	if err != nil {
		return found, err
	}
	defer results.Close()
	command := exec.CommandContext(ctx, self, "worker", suite.Name)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), os.Stderr, os.Stderr
	command.Dir = env.Dir
	command.ExtraFiles = []*os.File{resultsOfWorker}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		resultsOfWorker.Close()
		return found, err
	}
	resultsOfWorker.Close()
	text, readError := io.ReadAll(results)
	if err := command.Wait(); err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("did not end within %v", suite.Limit+env.Plan.Patience)
		}
		return found, err
	}
	if readError != nil {
		return found, readError
	}
	return found, json.Unmarshal(text, &found)
}
