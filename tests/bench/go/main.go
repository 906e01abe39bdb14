// Command go measures Hearth beside its peers and its limits. tests/bench/run builds and starts it,
// and is its manual.
//
// One process, the driver, starts servers and, for each suite, a process that measures (a worker),
// so that no suite inherits another's heap, threads or page tables. Workers get an Env on their
// standard input and answer with rows on descriptor 3.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
)

type options struct {
	plan     Plan
	root     string
	build    string
	compiler string
	json     string
	only     *regexp.Regexp
	smoke    bool
}

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(arguments []string) error {
	if len(arguments) > 0 {
		switch arguments[0] {
		case "worker":
			return work(arguments[1:])
		case "serve":
			return serve(arguments[1:])
		case "markdown":
			return markdown(arguments[1:])
		case "list":
			for _, suite := range suites() {
				fmt.Printf("%-10s %s\n", suite.Name, suite.About)
			}
			return nil
		}
	}
	o, err := parseOptions(arguments)
	if err != nil {
		return err
	}
	return drive(o)
}

func parseOptions(arguments []string) (*options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	mode := flags.String("mode", "default", "default, quick, smoke or full")
	only := flags.String("only", "", "suites whose name matches")
	patience := flags.Duration("patience", 0, "how long each suite may wait for other processes to leave it alone")
	o := &options{}
	flags.StringVar(&o.root, "root", ".", "the source tree")
	flags.StringVar(&o.build, "build", "build", "the build directory of meson")
	flags.StringVar(&o.compiler, "compiler", "", "C++ compiler and options, for the record")
	flags.StringVar(&o.json, "json", "", "file for the results")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	known := false
	if o.plan, known = planFor(*mode); !known {
		return nil, fmt.Errorf("there is no mode '%s'", *mode)
	}
	o.plan.Patience = *patience
	o.smoke = *mode == "smoke"
	var err error
	o.only, err = regexp.Compile(*only)
	return o, err
}

// work measures one suite.
func work(arguments []string) error {
	var env Env
	if err := json.NewDecoder(os.Stdin).Decode(&env); err != nil {
		return err
	}
	for _, suite := range suites() {
		if len(arguments) == 1 && suite.Name == arguments[0] {
			rows, err := suite.Run(&env)
			if err != nil {
				return err
			}
			return json.NewEncoder(os.NewFile(3, "results")).Encode(Found{rows, env.measured, env.disturbed})
		}
	}
	return errors.New("a worker needs the name of a suite")
}

// serve is a peer that is written in Go.
func serve(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("serve needs a name and an address")
	}
	switch arguments[0] {
	case grpcEcho:
		return serveGRPC(arguments[1])
	case shmipcEcho:
		return serveShmipc(arguments[1])
	}
	return fmt.Errorf("no server is called '%s'", arguments[0])
}
