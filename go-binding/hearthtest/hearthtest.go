// Package hearthtest starts a private hearthd for tests.
//
//	func TestMine(t *testing.T) {
//		daemon := hearthtest.Start(t)
//		client := daemon.Dial(t)
//		...
//	}
//
// The binary is $HEARTHD, or hearthd in $PATH, or build/daemon/hearthd in a parent of the working
// directory. Without one the test is skipped, or fails if HEARTH_REQUIRE_DAEMON=1.
package hearthtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

// startTimeout bounds how long a daemon may take to be ready; it takes milliseconds.
const startTimeout = 30 * time.Second

// Daemon is a running hearthd with a socket, a configuration and a directory of its own. Safe for
// concurrent use.
type Daemon struct {
	directory string
	command   *exec.Cmd
	log       log
	exited    chan struct{}
	exitError error // before exited is closed
}

type options struct {
	storeBytes, segmentBytes string
	namespaces               []string // TOML tables
	store                    string   // further keys of the store
	extra                    string
}

// Option configures Start.
type Option func(*options)

// WithStoreSize sets the size of the store, such as "64MiB" (the default), and of its segments.
func WithStoreSize(store, segment string) Option {
	return func(o *options) { o.storeBytes, o.segmentBytes = store, segment }
}

// WithStore adds settings to the store: lines of TOML, such as `max_value = "64MiB"`.
func WithStore(settings ...string) Option {
	return func(o *options) { o.store += strings.Join(settings, "\n") + "\n" }
}

// WithNamespace adds a namespace. The settings are lines of TOML, such as `ttl = "5m"`.
// A namespace "default" exists in any case.
func WithNamespace(name string, settings ...string) Option {
	return func(o *options) {
		o.namespaces = append(o.namespaces, fmt.Sprintf("[[store.namespace]]\nname = %q\n%s\n", name,
			strings.Join(settings, "\n")))
	}
}

// WithConfig appends TOML to the configuration.
func WithConfig(toml string) Option { return func(o *options) { o.extra += toml + "\n" } }

// Start starts a daemon, waits until it serves, and stops it when the test ends. If the test failed,
// it prints the daemon's log.
func Start(t testing.TB, opts ...Option) *Daemon {
	t.Helper()
	binary, err := Find()
	if err != nil {
		if os.Getenv("HEARTH_REQUIRE_DAEMON") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// Not t.TempDir(): its path contains the test's name, and a socket's path has 107 bytes at most.
	directory, err := os.MkdirTemp("", "hearth")
	if err != nil {
		t.Fatal(err)
	}
	d, err := StartIn(directory, binary, opts...)
	if err != nil {
		_ = os.RemoveAll(directory)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Stop()
		if t.Failed() {
			t.Logf("log of hearthd:\n%s", d.Log())
		}
		_ = os.RemoveAll(directory)
	})
	return d
}

// StartIn starts a daemon whose files lie in a directory, which stays the caller's. For TestMain and
// examples, which have no testing.TB.
func StartIn(directory, binary string, opts ...Option) (*Daemon, error) {
	o := options{storeBytes: "64MiB", segmentBytes: "2MiB"}
	for _, option := range opts {
		option(&o)
	}
	d := &Daemon{directory: directory, exited: make(chan struct{})}
	config := fmt.Sprintf("[daemon]\nsocket = %q\n\n[[store]]\nname = \"default\"\nsize = %q\nsegment_size = %q\n%s%s%s",
		d.Socket(), o.storeBytes, o.segmentBytes, o.store, strings.Join(o.namespaces, ""), o.extra)
	path := filepath.Join(directory, "hearthd.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(directory, "notify"), Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer notify.Close()
	d.command = exec.Command(binary, "--config", path)
	d.command.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(directory, "notify"))
	d.command.Stdout, d.command.Stderr = &d.log, &d.log
	// The daemon must not outlive a test process that is killed. The kernel sends the signal when the
	// thread ends that started it, so that thread is kept.
	d.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := d.command.Start()
		started <- err
		if err != nil {
			return
		}
		d.exitError = d.command.Wait()
		close(d.exited)
		_ = notify.SetReadDeadline(time.Unix(1, 0)) // nothing will be announced any more
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	if err := d.waitReady(notify); err != nil {
		d.Kill()
		return nil, fmt.Errorf("%w\nconfiguration:\n%s\nlog:\n%s", err, config, d.Log())
	}
	return d, nil
}

func (d *Daemon) waitReady(notify *net.UnixConn) error {
	if err := notify.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		n, err := notify.Read(buffer)
		select {
		case <-d.exited:
			return fmt.Errorf("hearthd ended before it was ready: %v", d.exitError)
		default:
		}
		if err != nil {
			return fmt.Errorf("hearthd did not become ready: %w", err)
		}
		for line := range strings.SplitSeq(string(buffer[:n]), "\n") {
			if line == "READY=1" {
				return nil
			}
		}
	}
}

// Find returns the path of the hearthd to test with.
func Find() (string, error) {
	if path := os.Getenv("HEARTHD"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("$HEARTHD: %w", err)
		}
		return filepath.Abs(path)
	}
	if path, err := exec.LookPath("hearthd"); err == nil {
		return filepath.Abs(path)
	}
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(directory, "build", "daemon", "hearthd")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
		parent := filepath.Dir(directory)
		if parent == directory {
			return "", errors.New("no hearthd: set $HEARTHD, or build it with meson compile -C build")
		}
		directory = parent
	}
}

// Socket is the path of the daemon's socket.
func (d *Daemon) Socket() string { return filepath.Join(d.directory, "hearthd.sock") }

// PID is the process id of the daemon.
func (d *Daemon) PID() int { return d.command.Process.Pid }

// Dial connects a client, and closes it when the test ends. A test that has not released its views by
// then fails ([CheckViews]).
func (d *Daemon) Dial(t testing.TB, opts ...hearth.Option) *hearth.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client, err := hearth.Dial(ctx, append([]hearth.Option{hearth.WithSocket(d.Socket())}, opts...)...)
	if err != nil {
		t.Fatalf("%v\nlog of hearthd:\n%s", err, d.Log())
	}
	t.Cleanup(func() { _ = client.Close() })
	CheckViews(t, client)
	return client
}

// CheckViews lets a test fail at its end if views of the client have not been released. It says where
// they were made if the client was dialled with [hearth.WithViewTrace], or the test was run with
// HEARTH_VIEW_TRACE=1.
func CheckViews(t testing.TB, client *hearth.Client) {
	t.Helper()
	t.Cleanup(func() {
		held := client.HeldViews()
		if held == 0 {
			return
		}
		where := ""
		for _, place := range client.ViewPlaces() {
			where += "\nnot released:\n" + place
		}
		if where == "" {
			where = "; HEARTH_VIEW_TRACE=1 shows where they were made"
		}
		t.Errorf("%d hearth.View not released%s", held, where)
	})
}

// Kill ends the daemon with SIGKILL and waits until it is gone.
func (d *Daemon) Kill() {
	_ = d.command.Process.Kill()
	<-d.exited
}

// Stop ends the daemon with SIGTERM, or SIGKILL if it does not end in time, and waits until it is
// gone.
func (d *Daemon) Stop() {
	d.Resume()
	_ = d.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(startTimeout):
		d.Kill()
	}
}

// Pause stops the daemon with SIGSTOP and returns when none of its threads runs any more.
func (d *Daemon) Pause(t testing.TB) {
	t.Helper()
	if err := d.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for !d.stopped(t) {
		runtime.Gosched()
	}
}

// Resume lets a paused daemon go on.
func (d *Daemon) Resume() { _ = d.command.Process.Signal(syscall.SIGCONT) }

func (d *Daemon) stopped(t testing.TB) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", d.PID()))
	if err != nil || len(threads) == 0 {
		t.Fatal("hearthd is not running: ", err)
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			return false // the thread has just ended
		}
		// "pid (name) state ...", and the name may contain anything.
		text := string(stat)
		if !strings.HasPrefix(text[strings.LastIndexByte(text, ')')+1:], " T") {
			return false
		}
	}
	return true
}

// Log is what the daemon wrote so far.
func (d *Daemon) Log() string { return d.log.String() }

type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
