package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// What a document keeps between these lines is written by the tool.
const (
	markdownBegin = "<!-- begin: written by tests/bench/run --markdown -->"
	markdownEnd   = "<!-- end -->"
)

// markdown prints a report for a document, or puts it into one: FILE.json [DOCUMENT].
func markdown(arguments []string) error {
	if len(arguments) == 0 || len(arguments) > 2 {
		return errors.New("markdown needs a file of results, and perhaps a document")
	}
	text, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	var report Report
	if err := json.Unmarshal(text, &report); err != nil {
		return fmt.Errorf("%s: %w", arguments[0], err)
	}
	rendered := render(&report)
	if len(arguments) == 1 {
		_, err := os.Stdout.WriteString(rendered)
		return err
	}
	document, err := os.ReadFile(arguments[1])
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(document, []byte(markdownBegin))
	_, after, ended := bytes.Cut(rest, []byte(markdownEnd))
	if !found || !ended {
		return fmt.Errorf("%s has no place between '%s' and '%s'", arguments[1], markdownBegin, markdownEnd)
	}
	parts := [][]byte{before, []byte(markdownBegin + "\n" + rendered + markdownEnd), after}
	return os.WriteFile(arguments[1], bytes.Join(parts, nil), 0o644)
}

func render(report *Report) string {
	var out strings.Builder
	renderMachine(&out, report)
	out.WriteString("### Targets\n\n| figure | target | reached |\n|---|---|---|\n")
	for _, t := range report.Targets {
		reached := t.Reached
		if len(t.Missed) > 0 {
			reached += ": " + strings.Join(t.Missed, "<br>")
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", t.Figure, t.Demand, reached)
	}
	suite := ""
	for _, row := range report.Rows {
		if row.Suite != suite {
			suite = row.Suite
			fmt.Fprintf(&out, "\n### %s: %s\n\n| %s |\n|%s\n", suite, aboutSuite(suite), strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
		}
		fmt.Fprintf(&out, "| %s |\n", strings.Join(row.cells(), " | "))
	}
	notes := false
	for _, row := range report.Rows {
		if row.Note != "" {
			if !notes {
				out.WriteString("\nNotes:\n")
				notes = true
			}
			fmt.Fprintf(&out, "- %s: %s.\n", row.Figure, row.Note)
		}
	}
	for name, why := range report.Failed {
		fmt.Fprintf(&out, "\nThe suite %s failed: %s\n", name, why)
	}
	return out.String()
}

func renderMachine(out *strings.Builder, report *Report) {
	m := &report.Machine
	machine := "machine"
	if m.Virtual {
		machine = "virtual machine"
	}
	fmt.Fprintf(out, "%s UTC, revision `%s`, mode %s, %d rounds, %.0f s. Other processes used more than 5 %% of the machine during %d of %d measurements; its host took %.1f %% of the CPU time.\n\n",
		m.Date, m.Revision, report.Plan.Mode, report.Plan.Rounds, report.Seconds, report.Disturbed, report.Measured, m.StolenPercent)
	fmt.Fprintf(out, "%s, %s with %d CPUs and %.0f GiB, Linux %s, clock %s (%.0f ns a reading), idle driver %s, %s with GOMAXPROCS=%d, %s",
		m.CPU, machine, m.CPUs, m.MemoryGiB, m.Kernel, m.Clocksource, m.ClockNs, orNone(m.IdleDriver), m.Go, m.GOMAXPROCS, m.Compiler)
	for _, peer := range []string{m.Redis, m.Memcached} {
		if peer != "" {
			out.WriteString(", " + peer)
		}
	}
	out.WriteString(".\n\n")
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func aboutSuite(name string) string {
	for _, suite := range suites() {
		if suite.Name == name {
			return suite.About
		}
	}
	return name
}
