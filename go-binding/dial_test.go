package hearth_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func TestDialErrors(t *testing.T) {
	directory := t.TempDir()
	dial := func(path string) error {
		client, err := hearth.Dial(background, hearth.WithSocket(path))
		if err == nil {
			_ = client.Close()
			t.Fatal("connected")
		}
		return err
	}
	nobody := filepath.Join(directory, "nobody.sock")
	wantError(t, dial(nobody), hearth.ErrNotRunning, hearth.CodeUnavailable, hearth.NotStarted)
	wantError(t, dial(strings.Repeat("x", 108)), hearth.ErrSocketPath, hearth.CodeInvalidArgument, hearth.NotStarted)

	stream, err := net.Listen("unix", filepath.Join(directory, "stream.sock"))
	check(t, err)
	defer stream.Close()
	wantError(t, dial(stream.Addr().String()), hearth.ErrNotHearth, hearth.CodeFailedPrecondition, hearth.NotStarted)

	for name, answer := range map[string]string{"silent": "", "rude": "HTTP/1.1 400 Bad Request\r\n\r\n"} {
		path := filepath.Join(directory, name)
		listener, err := net.Listen("unixpacket", path)
		check(t, err)
		go func() {
			connection, err := listener.Accept()
			if err == nil {
				buffer := make([]byte, 1000)
				_, _ = connection.Read(buffer)
				_, _ = connection.Write([]byte(answer))
				_ = connection.Close()
			}
		}()
		wantError(t, dial(path), hearth.ErrNotHearth, hearth.CodeFailedPrecondition, hearth.NotStarted)
		_ = listener.Close()
		_ = os.Remove(path)
	}

	// Abandoned by its owner: the file is there, nobody listens.
	wantError(t, dial(nobody), hearth.ErrNotRunning, hearth.CodeUnavailable, hearth.NotStarted)
}

func TestDialCanBeCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slow.sock")
	listener, err := net.Listen("unixpacket", path)
	check(t, err)
	defer listener.Close()
	ctx, cancel := context.WithCancel(background)
	go func() {
		connection, err := listener.Accept()
		if err == nil {
			defer connection.Close()
			buffer := make([]byte, 1000)
			_, _ = connection.Read(buffer)
			cancel() // the hello has arrived and is never answered
			_, _ = connection.Read(buffer)
		}
	}()
	if _, err := hearth.Dial(ctx, hearth.WithSocket(path)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestUnknownStore(t *testing.T) {
	daemon := hearthtest.Start(t)
	_, err := hearth.Dial(background, hearth.WithSocket(daemon.Socket()), hearth.WithStore("nobody"))
	wantError(t, err, hearth.ErrUnknownStore, hearth.CodeNotFound, hearth.NotStarted)
}

func openDescriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(entries)
}

// TestNothingIsLeftAfterClose dials as often as fits the time: 10,000 times without -short.
func TestNothingIsLeftAfterClose(t *testing.T) {
	daemon := hearthtest.Start(t)
	round := func() {
		client, err := hearth.Dial(background, hearth.WithSocket(daemon.Socket()))
		check(t, err)
		ns, err := client.Namespace("default")
		check(t, err)
		check(t, ns.Set(background, "k", []byte("v")))
		check(t, ns.SetAsync(background, "k", []byte("v")))
		check(t, client.Close())
		check(t, client.Close())
	}
	round()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	rounds := 10000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		round()
	}
	// Goroutines that have announced their end may still be on the way out.
	for i := 0; runtime.NumGoroutine() > goroutines && i < 1000; i++ {
		runtime.Gosched()
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines, %d at the start", now, goroutines)
	}
	if now := openDescriptors(t); now > descriptors {
		t.Errorf("%d descriptors, %d at the start", now, descriptors)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	if n := strings.Count(string(maps), "memfd:"); n > 4 {
		t.Errorf("%d shared mappings are left", n)
	}
}
