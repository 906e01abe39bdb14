// Command packages is a small service on top of Hearth: it looks Debian packages up in the host's
// shared cache, counts visits there for other processes to see, and calls a method that runs in C++.
// Start several at once; tools/demo does. It puts itself under load, checks every value, and prints
// what it measured.
//
//	hearthd &
//	apt-cache dumpavail | tools/packages-to-jsonl | tee packages.jsonl | hearth prewarm -
//	sed 's/^{"key":"\([^"]*\)".*/\1/' packages.jsonl > names.txt
//	go run ./examples/packages -keys names.txt
//
// service.go is how a service uses the client; the rest is load and measuring.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type config struct {
	socket, namespace, name, keys, peers string
	json, hold                           bool
	load                                 Load
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "packages:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out io.Writer) error {
	c, err := parse(arguments)
	if err != nil {
		return err
	}
	if c.load.Keys, err = readKeys(c.keys); err != nil {
		return err
	}
	dialing, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	service, err := Open(dialing, c.socket, c.namespace, c.name)
	if err != nil {
		return err
	}
	defer service.Close()
	measured, err := Run(ctx, service, c.load)
	if err != nil {
		return err
	}
	report := reportOf(c.name, measured)
	if c.json {
		err = json.NewEncoder(out).Encode(report)
	} else {
		err = report.print(out)
	}
	if err == nil && c.hold {
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	return err
}

func parse(arguments []string) (config, error) {
	var c config
	flags := flag.NewFlagSet("packages", flag.ContinueOnError)
	flags.StringVar(&c.socket, "socket", "", "hearthd's `path`; by default as hearth.Dial finds it")
	flags.StringVar(&c.namespace, "namespace", "default", "namespace of the packages")
	flags.StringVar(&c.name, "name", "packages", "name of this service, unlike that of its peers")
	flags.StringVar(&c.peers, "peers", "", "`names` of services in other processes, with spaces or commas between")
	flags.StringVar(&c.keys, "keys", "", "`file` with one package name per line (required)")
	flags.DurationVar(&c.load.Duration, "duration", 8*time.Second, "of the paced load")
	flags.DurationVar(&c.load.Burst, "burst", 2*time.Second, "of reading as fast as it goes, afterwards")
	flags.Float64Var(&c.load.Reads, "reads", 50_000, "reads per second")
	flags.Float64Var(&c.load.Writes, "writes", 1000, "writes per second")
	flags.Float64Var(&c.load.Calls, "calls", 1000, "calls per second")
	flags.Uint64Var(&c.load.Seed, "seed", 1, "of the choice of keys")
	flags.BoolVar(&c.json, "json", false, "print JSON")
	flags.BoolVar(&c.hold, "hold", false, "stay after the report until stdin ends, for others to look at the process")
	if err := flags.Parse(arguments); err != nil {
		return c, err
	}
	if c.keys == "" || flags.NArg() > 0 {
		return c, errors.New("-keys FILE is needed, and no other argument; see -help")
	}
	if min(c.load.Reads, c.load.Writes, c.load.Calls) <= 0 {
		return c, errors.New("rates must be positive")
	}
	c.load.Peers = strings.FieldsFunc(c.peers, func(r rune) bool { return r == ' ' || r == ',' })
	return c, nil
}

func readKeys(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var keys []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if key := scanner.Text(); key != "" {
			keys = append(keys, key)
		}
	}
	if len(keys) < 2 {
		return nil, errors.Join(scanner.Err(), fmt.Errorf("%s has %d keys, which is too few", path, len(keys)))
	}
	return keys, scanner.Err()
}
