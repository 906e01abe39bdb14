package hearth_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func listen(t *testing.T, network, path string) net.Listener {
	t.Helper()
	listener, err := net.Listen(network, path)
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// abandon leaves a socket that nobody listens on, as a daemon that was killed does.
func abandon(t *testing.T, network, path string) {
	t.Helper()
	listener := listen(t, network, path)
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	check(t, listener.Close())
}

// answerWith serves one connection: it reads a packet and answers with these bytes, or hangs up.
func answerWith(t *testing.T, path, answer string) {
	t.Helper()
	listener := listen(t, "unixpacket", path)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		buffer := make([]byte, 1000)
		_, _ = connection.Read(buffer)
		if answer != "" {
			_, _ = connection.Write([]byte(answer))
		}
	}()
}

// asNobody runs f without root's right to open everything.
func asNobody(f func()) {
	if os.Geteuid() == 0 {
		runtime.LockOSThread() // the id belongs to the thread
		defer runtime.UnlockOSThread()
		_ = syscall.Setfsuid(65534)
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	f()
}

func TestDialErrors(t *testing.T) {
	const notRunning, notHearth = hearth.CodeUnavailable, hearth.CodeFailedPrecondition
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    error
		code    hearth.Code
		says    string
	}{
		"nothing there": {func(*testing.T, string) {}, hearth.ErrNotRunning, notRunning, "hearthd is not running at"},
		"no folder":     {func(t *testing.T, path string) { check(t, os.Remove(filepath.Dir(path))) }, hearth.ErrNotRunning, notRunning, "systemctl start hearthd"},
		"abandoned": {func(t *testing.T, path string) { abandon(t, "unixpacket", path) },
			hearth.ErrNotRunning, notRunning, "nobody listens on it; start it with"},
		"an abandoned stream socket": {func(t *testing.T, path string) { abandon(t, "unix", path) },
			hearth.ErrNotRunning, notRunning, "$HEARTH_SOCKET"},
		"a regular file": {func(t *testing.T, path string) { check(t, os.WriteFile(path, nil, 0o666)) },
			hearth.ErrNotHearth, notHearth, "is a regular file, not a socket"},
		"a regular file of somebody else": {func(t *testing.T, path string) { check(t, os.WriteFile(path, nil, 0)) },
			hearth.ErrNotHearth, notHearth, "is a regular file, not a socket"},
		"a directory": {func(t *testing.T, path string) { check(t, os.Mkdir(path, 0o777)) },
			hearth.ErrNotHearth, notHearth, "is a directory, not a socket"},
		"a fifo": {func(t *testing.T, path string) { check(t, syscall.Mkfifo(path, 0o666)) },
			hearth.ErrNotHearth, notHearth, "is a fifo, not a socket"},
		"a socket that refuses this user": {func(t *testing.T, path string) {
			listen(t, "unixpacket", path)
			check(t, os.Chmod(path, 0))
		}, hearth.ErrPermission, hearth.CodePermissionDenied, "may not write to the socket"},
		"a folder that refuses this user": {func(t *testing.T, path string) {
			listen(t, "unixpacket", path)
			check(t, os.Chmod(filepath.Dir(path), 0))
			t.Cleanup(func() { _ = os.Chmod(filepath.Dir(path), 0o700) })
		}, hearth.ErrPermission, hearth.CodePermissionDenied, "may not look into a folder of"},
		"a stream socket": {func(t *testing.T, path string) { listen(t, "unix", path) },
			hearth.ErrNotHearth, notHearth, "is of another type"},
		"a server that hangs up": {func(t *testing.T, path string) { answerWith(t, path, "") },
			hearth.ErrNotHearth, notHearth, "closed the connection"},
		"a server of something else": {func(t *testing.T, path string) { answerWith(t, path, "HTTP/1.1 400 Bad Request\r\n\r\n") },
			hearth.ErrNotHearth, notHearth, "not hearthd"},
	} {
		t.Run(name, func(t *testing.T) {
			// Not t.TempDir(): with the test's name a path can get longer than a socket's may be.
			top, err := os.MkdirTemp("", "hearth")
			check(t, err)
			defer os.RemoveAll(top)
			check(t, os.Chmod(top, 0o755))
			path := filepath.Join(top, "folder", "hearthd.sock")
			check(t, os.Mkdir(filepath.Dir(path), 0o755))
			c.prepare(t, path)
			dial := func() { _, err = hearth.Dial(background, hearth.WithSocket(path)) }
			if c.code == hearth.CodePermissionDenied || strings.Contains(name, "somebody else") {
				asNobody(dial)
			} else {
				dial()
			}
			wantError(t, err, c.want, c.code, hearth.NotStarted)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; it should say %q", err, c.says)
			}
			if c.want != hearth.ErrNotHearth && !strings.Contains(err.Error(), path) {
				t.Errorf("%v; it should name %s", err, path)
			}
		})
	}
	_, err := hearth.Dial(background, hearth.WithSocket(strings.Repeat("x", 108)))
	wantError(t, err, hearth.ErrSocketPath, hearth.CodeInvalidArgument, hearth.NotStarted)
}

// A daemon that is stopped accepts connections and never answers: without a deadline of the caller's,
// whoever waits for it gives up.
func TestAStoppedDaemonIsNotWaitedForWithoutEnd(t *testing.T) {
	timeout := hearth.WithControlTimeout(20 * time.Millisecond)
	daemon, client, _ := start(t, timeout)
	daemon.Pause(t)
	defer daemon.Resume()
	wantSilence := func(err error) {
		t.Helper()
		e := wantError(t, err, hearth.ErrNotRunning, hearth.CodeUnavailable, hearth.NotStarted)
		want := "hearthd at " + daemon.Socket() + " did not answer within 20ms; it may be stopped or overloaded"
		if e.Message != want || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%#v; want %q", e, want)
		}
	}
	_, err := hearth.Dial(background, hearth.WithSocket(daemon.Socket()), timeout)
	wantSilence(err)
	_, err = client.Namespace("short")
	wantSilence(err)
	_, err = client.Call(background, "hearth.echo", nil, nil)
	wantSilence(err)

	// The caller's own deadline and its error come first.
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	_, err = client.NamespaceContext(ctx, "short")
	wantError(t, err, context.DeadlineExceeded, hearth.CodeDeadlineExceeded, hearth.NotStarted)
	_, err = hearth.Dial(ctx, hearth.WithSocket(daemon.Socket()))
	wantError(t, err, context.DeadlineExceeded, hearth.CodeDeadlineExceeded, hearth.NotStarted)

	// The client is as good as before once the daemon goes on.
	daemon.Resume()
	ctx, cancel = context.WithTimeout(background, time.Minute)
	defer cancel()
	_, err = client.NamespaceContext(ctx, "short")
	check(t, err)
	_, err = client.Call(ctx, "hearth.echo", nil, nil)
	check(t, err)
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
	// Mappings go with the garbage collection that finds them unused.
	left := 0
	for i := 0; i < 100; i++ {
		runtime.GC()
		maps, err := os.ReadFile("/proc/self/maps")
		check(t, err)
		if left = strings.Count(string(maps), "memfd:"); left <= 4 {
			break
		}
	}
	if left > 4 {
		t.Errorf("%d shared mappings are left", left)
	}
}

// Many processes of one user that start at once are no attack.
func TestACrowdDialsAtOnce(t *testing.T) {
	daemon := hearthtest.Start(t)
	const crowd = 300
	errs := make([]error, crowd)
	clients := make([]*hearth.Client, crowd)
	var wg sync.WaitGroup
	for i := range crowd {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ctx, cancel := context.WithTimeout(background, time.Minute)
			defer cancel()
			clients[i], errs[i] = hearth.Dial(ctx, hearth.WithSocket(daemon.Socket()), hearth.WithChannels(1))
		}()
	}
	wg.Wait()
	for i := range crowd {
		if errs[i] != nil {
			t.Fatalf("client %d: %v", i, errs[i])
		}
		_ = clients[i].Close()
	}
}

func TestDialWithoutDescriptorsSaysSo(t *testing.T) {
	daemon := hearthtest.Start(t)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) }()
	next, err := syscall.Dup(0) // descriptors below are taken
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Close(next)
	// Room for the socket, then for some of the descriptors that come with the welcome.
	for room := range 6 {
		limit := before
		limit.Cur = uint64(next + room)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		client, err := hearth.Dial(background, hearth.WithSocket(daemon.Socket()), hearth.WithChannels(4))
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		if err == nil {
			_ = client.Close()
			t.Fatalf("dialled with %d descriptors", room)
		}
		var stated *hearth.Error
		if !errors.As(err, &stated) || stated.Code != hearth.CodeResourceExhausted || !strings.Contains(err.Error(), "descriptors") {
			t.Errorf("with %d descriptors: %v", room, err)
		}
	}
}
