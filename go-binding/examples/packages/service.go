package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	hearth "github.com/hearthd/hearth/go-binding"
)

// Service answers questions about packages from the host's shared cache. It keeps no cache of its
// own, so starting ten of them takes the memory of one, and a restart begins warm.
//
// Its methods may be called by many goroutines at once.
type Service struct {
	client   *hearth.Client
	packages *hearth.Namespace
	name     string
}

// Open connects to hearthd. A service does this once, at its start, and fails fast if it cannot;
// afterwards reads go on even while hearthd restarts.
func Open(ctx context.Context, socket, namespace, name string) (*Service, error) {
	options := []hearth.Option{hearth.WithName(name)}
	if socket != "" {
		options = append(options, hearth.WithSocket(socket))
	}
	client, err := hearth.Dial(ctx, options...)
	if err != nil {
		return nil, err
	}
	packages, err := client.NamespaceContext(ctx, namespace)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &Service{client: client, packages: packages, name: name}, nil
}

// Close ends the session with hearthd.
func (s *Service) Close() error { return s.client.Close() }

// Lookup appends the record of a package to buf. With a buffer that is used again and again it
// allocates nothing: what a request handler would take from a sync.Pool.
func (s *Service) Lookup(buf []byte, name string) ([]byte, error) {
	record, _, err := s.packages.GetAppend(buf, name)
	return record, err
}

// RecordOf reports whether a record is the one of this package, whole. It allocates nothing, so that
// every single read can be checked.
func RecordOf(record []byte, name string) bool {
	const head, tail = `{"Package":"`, `}`
	return len(record) > len(head)+len(name)+len(tail) &&
		string(record[:len(head)]) == head &&
		string(record[len(head):len(head)+len(name)]) == name &&
		record[len(head)+len(name)] == '"' &&
		string(record[len(record)-len(tail):]) == tail
}

// visitKey is where a service leaves how many visits it has seen.
func visitKey(service string) string { return "visits/" + service }

// RecordVisit stores how many visits this service has seen. When it returns, every process of the
// host sees the number. buf is scratch space.
func (s *Service) RecordVisit(ctx context.Context, buf []byte, visits uint64) ([]byte, error) {
	buf = strconv.AppendUint(buf[:0], visits, 10)
	return buf, s.packages.Set(ctx, visitKey(s.name), buf)
}

// VisitsOf is how many visits another service, in another process, has recorded; 0 before the first.
func (s *Service) VisitsOf(buf []byte, service string) (uint64, error) {
	value, _, err := s.packages.GetAppend(buf[:0], visitKey(service))
	if errors.Is(err, hearth.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	visits, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("visits of %s: %w", service, err)
	}
	return visits, nil
}

// errWrongEcho is an answer that is not what was sent.
var errWrongEcho = errors.New("hearth.echo answered something else than was sent")

// Echo sends a request through the rings to a method that runs in C++, and back.
func (s *Service) Echo(ctx context.Context, buf, request []byte) ([]byte, error) {
	answer, err := s.client.Call(ctx, "hearth.echo", buf[:0], request)
	if err == nil && !bytes.Equal(answer, request) {
		err = errWrongEcho
	}
	return answer, err
}
