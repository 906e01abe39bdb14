package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	hearth "github.com/hearthd/hearth/go-binding"
)

// echoer sends bytes to a server and gets them back, appended to dst.
type echoer interface {
	echo(dst, request []byte) ([]byte, error)
	close()
}

type hearthEcho struct {
	client *hearth.Client
	ctx    context.Context
}

func (e *hearthEcho) echo(dst, request []byte) ([]byte, error) {
	return e.client.Call(e.ctx, "hearth.echo", dst, request)
}

func (e *hearthEcho) close() { e.client.Close() }

// socketClient is the plainest client: blocking reads and writes on the runtime's netpoller.
type socketClient struct {
	conn   net.Conn
	buffer []byte
}

func (e *socketClient) echo(dst, request []byte) ([]byte, error) {
	if _, err := e.conn.Write(request); err != nil {
		return dst, err
	}
	n, err := io.ReadFull(e.conn, e.buffer[:len(request)])
	return append(dst, e.buffer[:n]...), err
}

func (e *socketClient) close() { e.conn.Close() }

func dialSocket(address string) (echoer, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	return &socketClient{conn, make([]byte, 64<<10)}, nil
}

// dialEcho connects to an echo server by the name of the suite's server.
func dialEcho(env *Env, name string) (echoer, error) {
	switch name {
	case hearthd:
		client, _, err := dialHearth(env)
		return &hearthEcho{client, context.Background()}, err
	case socketEcho:
		return dialSocket(env.Address[name])
	case grpcEcho:
		return dialGRPC(env.Address[name])
	case shmipcEcho:
		return dialShmipc(env.Address[name])
	}
	return nil, fmt.Errorf("%s has no echo", name)
}

// echoPeer is an echo server with a connection to it.
type echoPeer struct {
	name string // in tables
	pid  int
	echoer
}

// echoPeers connects to those of the servers that are there, and reports the others as skipped.
func echoPeers(env *Env, figure string, names ...string) (peers []echoPeer, skipped []*Row, err error) {
	for _, name := range names {
		if why := env.Missing[name]; why != "" {
			skipped = append(skipped, &Row{Figure: figure, Skipped: name + ": " + why})
			continue
		}
		e, err := dialEcho(env, name)
		if err != nil {
			closePeers(peers)
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		shown := name
		if name == hearthd {
			shown = "Hearth"
		}
		peers = append(peers, echoPeer{shown, env.Pid[name], e})
	}
	return peers, skipped, nil
}

func closePeers(peers []echoPeer) {
	for _, peer := range peers {
		peer.close()
	}
}

// echoOnce calls and checks the answer.
func echoOnce(e echoer, dst, request []byte) ([]byte, error) {
	dst, err := e.echo(dst[:0], request)
	if err == nil && !bytes.Equal(dst, request) {
		err = fmt.Errorf("%d bytes came back changed, as %d", len(request), len(dst))
	}
	return dst, err
}

// pingpong measures how fast two processes hand each other one cache line.
func pingpong(env *Env) Measure {
	return func(warm bool) (Outcome, error) {
		if warm {
			return Outcome{}, nil
		}
		program := filepath.Join(env.Build, "tests/bench/pingpong")
		command := exec.Command(program, strconv.Itoa(env.Plan.Trips))
		command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		output, err := command.Output()
		if err != nil {
			return Outcome{}, fmt.Errorf("pingpong: %w", err)
		}
		var found struct {
			Ns map[string]uint64 `json:"ns"`
		}
		if err := json.Unmarshal(output, &found); err != nil {
			return Outcome{}, fmt.Errorf("pingpong: %w", err)
		}
		h := &Histogram{}
		for text, times := range found.Ns {
			ns, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return Outcome{}, fmt.Errorf("pingpong: %w", err)
			}
			h.RecordMany(ns, times)
		}
		return Outcome{Latencies: map[string]*Histogram{"call": h}}, nil
	}
}
