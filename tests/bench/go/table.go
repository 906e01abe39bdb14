package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

var columns = []string{"figure", "Hearth", "peer or limit", "ratio (spread)", "target", "reached"}

// cells is a row as text.
func (r *Row) cells() []string {
	if r.Skipped != "" {
		return []string{r.Figure, "-", "skipped: " + r.Skipped, "-", "", ""}
	}
	peer, ratio := "-", "-"
	if r.Peer != nil {
		peer = figureText(r.Peer, r.Unit) + " " + r.Peer.Name
	}
	if r.Ratio != nil {
		ratio = fmt.Sprintf("%s (%s-%s)", ratioText(r.Ratio.Median), ratioText(r.Ratio.Min), ratioText(r.Ratio.Max))
	}
	var demands, reached []string
	for _, j := range r.Targets {
		demands = append(demands, j.Demand)
		reached = append(reached, map[bool]string{true: "yes", false: "no"}[j.Reached])
	}
	return []string{r.Figure, figureText(r.Hearth, r.Unit), peer, ratio, strings.Join(demands, "; "), strings.Join(reached, "; ")}
}

// figureText is a median with its unit, and with the spread of its rounds.
func figureText(s *Series, unit string) string {
	text := number(s.Median) + " " + unit
	if unit == "1/s" {
		text = rateText(s.Median)
	}
	if s.Max > 0 && s.Min != s.Max {
		text += fmt.Sprintf(" ±%.0f%%", 100*(s.Max-s.Min)/2/s.Median)
	}
	if s.Allocs != nil {
		text += fmt.Sprintf(", %.2g allocs", *s.Allocs)
	}
	return text
}

func rateText(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M/s", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0f k/s", v/1e3)
	}
	return fmt.Sprintf("%.0f/s", v)
}

// number writes three significant digits, and all of a whole number.
func number(v float64) string {
	switch {
	case math.Abs(v) >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	case v == 0:
		return "0"
	case math.Abs(v) < 0.01:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func ratioText(v float64) string {
	if v < 0.1 {
		return fmt.Sprintf("%.2g", v)
	}
	return number(v)
}

// printTable prints rows in aligned columns.
func printTable(out io.Writer, rows []*Row) {
	lines := [][]string{columns}
	for _, row := range rows {
		lines = append(lines, row.cells())
	}
	widths := make([]int, len(columns))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			text.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		fmt.Fprintln(out, "  "+strings.TrimRight(text.String(), " "))
	}
	for _, row := range rows {
		if row.Note != "" {
			fmt.Fprintf(out, "  note: %s: %s\n", row.Figure, row.Note)
		}
	}
}
