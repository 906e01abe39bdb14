package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Servers that suites can ask for.
const (
	hearthd    = "hearthd"
	socketEcho = "socket echo"
	grpcEcho   = "gRPC-go"
	shmipcEcho = "shmipc-go"
	redis      = "Redis"
	memcached  = "memcached"
)

// errNotInstalled is the reason of servers that this machine does not have.
var errNotInstalled = errors.New("not installed")

// server is a started process and where it listens.
type server struct {
	name    string
	address string
	command *exec.Cmd
	ended   chan struct{}
	log     string
}

// startServer starts a server in a directory of its own and waits until it accepts connections. Call
// it from the goroutine that is locked to the main thread: the process ends with its starter.
func startServer(name string, env *Env) (*server, error) {
	dir, err := os.MkdirTemp(env.Dir, "s")
	if err != nil {
		return nil, err
	}
	s := &server{name: name, address: filepath.Join(dir, "s"), ended: make(chan struct{}), log: filepath.Join(dir, "log")}
	command, network, err := commandOf(name, env, dir, s.address)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.command = exec.Command(command[0], command[1:]...)
	s.command.Dir, s.command.Stdout, s.command.Stderr = dir, log, log
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.command.Wait()
		close(s.ended)
	}()
	if err := s.awaitListening(network); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func commandOf(name string, env *Env, dir, address string) (command []string, network string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	switch name {
	case hearthd:
		config := filepath.Join(dir, "hearthd.toml")
		err := os.WriteFile(config, []byte(hearthdConfig(address, env.Plan.StoreMiB)), 0o600)
		return []string{filepath.Join(env.Build, "daemon/hearthd"), "--config", config}, "unixpacket", err
	case socketEcho:
		return []string{filepath.Join(env.Build, "tests/bench/socket_echo"), address}, "unix", nil
	case grpcEcho, shmipcEcho:
		if !havePeers {
			return nil, "", errors.New("this build has no third-party peers (no network, or --no-peers)")
		}
		return []string{self, "serve", name, address}, "unix", nil
	case redis:
		program, err := exec.LookPath("redis-server")
		if err != nil {
			return nil, "", errNotInstalled
		}
		return []string{program, "--port", "0", "--unixsocket", address, "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", dir}, "unix", nil
	case memcached:
		program, err := exec.LookPath("memcached")
		if err != nil {
			return nil, "", errNotInstalled
		}
		command := []string{program, "-s", address, "-m", "1024"}
		if os.Geteuid() == 0 {
			command = append(command, "-u", "root")
		}
		return command, "unix", nil
	}
	return nil, "", fmt.Errorf("no server is called '%s'", name)
}

func hearthdConfig(socket string, mebibytes int) string {
	return fmt.Sprintf(`[daemon]
socket = "%s"
socket_mode = "0600"
log_level = "warn"
[[store]]
name = "default"
size = "%dMiB"
[[store.namespace]]
name = "default"
`, socket, mebibytes)
}

func (s *server) awaitListening(network string) error {
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if conn, err := net.Dial(network, s.address); err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("ended at once: %s", lastLine(s.log))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("does not accept connections: %s", lastLine(s.log))
}

// stop asks the process to end, insists after three seconds, and waits for it.
func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(3 * time.Second):
		_ = s.command.Process.Kill()
		<-s.ended
	}
}

func lastLine(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	last := "it said nothing"
	scanner := bufio.NewScanner(io.LimitReader(file, 1<<20))
	for scanner.Scan() {
		if text := strings.TrimSpace(scanner.Text()); text != "" {
			last = text
		}
	}
	return last
}
