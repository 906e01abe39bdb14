package wait

// What it costs to be woken, over the ways in which a Go process can wait for another process.
//
//	go test -run NONE -bench 'Wake|Bell' ./internal/wait
//
// The peer is a second process (this test binary, started again) that blocks in a system call on
// its own doorbell, as hearthd does, and answers each ring. Between round trips both sides sleep for
// 2 ms, so that each finds the CPUs idle. Reported: median and 99th percentile of the round trip,
// and the CPU time this process spent per round trip.

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/shm"
	"github.com/hearthd/hearth/go-binding/internal/shm/shmtest"
)

const peerVariable = "HEARTH_WAIT_PEER"

// Descriptors of the peer, in the order of exec.Cmd.ExtraFiles.
const (
	peerMemory = 3 + iota
	peerRequest
	peerReply
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(peerVariable); kind != "" {
		runPeer(kind)
		return
	}
	os.Exit(m.Run())
}

// runPeer blocks on peerRequest, publishes the round in the shared word, and rings back.
func runPeer(kind string) {
	region, err := shm.Map(peerMemory, true)
	if err != nil {
		panic(err)
	}
	var buffer [8]byte
	one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	for {
		n, err := syscall.Read(peerRequest, buffer[:])
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return
		}
		region.Word32(0).Add(1)
		if kind == "futex" {
			shmtest.FutexWake(region.Word32(0))
		} else if _, err := syscall.Write(peerReply, one); err != nil {
			return
		}
	}
}

type peer struct {
	region  *shm.Region
	request int // blocking in the peer; written with RawSyscall
	reply   int
}

func startPeer(b *testing.B, kind string, replyMine, replyTheirs int) *peer {
	memory, err := shm.CreateMemfd("wait-bench", 4096, true)
	if err != nil {
		b.Fatal(err)
	}
	request, err := shm.NewEventfd()
	if err != nil {
		b.Fatal(err)
	}
	if err := syscall.SetNonblock(request, false); err != nil {
		b.Fatal(err)
	}
	region, err := shm.Map(memory, true)
	if err != nil {
		b.Fatal(err)
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), peerVariable+"="+kind, "GOMAXPROCS=1")
	for _, fd := range []int{memory, request, replyTheirs} {
		duplicate, err := syscall.Dup(fd)
		if err != nil {
			b.Fatal(err)
		}
		command.ExtraFiles = append(command.ExtraFiles, os.NewFile(uintptr(duplicate), "extra"))
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	for _, file := range command.ExtraFiles {
		_ = file.Close()
	}
	b.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		shm.CloseAll([]int{memory, request})
	})
	return &peer{region, request, replyMine}
}

func eventfd(b *testing.B) int {
	fd, err := shm.NewEventfd()
	if err != nil {
		b.Fatal(err)
	}
	return fd
}

func pipe(b *testing.B) (read, write int) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	return fds[0], fds[1]
}

// roundTrips rings and waits, b.N times, with a pause of 2 ms before each.
func roundTrips(b *testing.B, p *peer, wait func(round uint32)) {
	times := make([]time.Duration, 0, b.N)
	before := cpuTime()
	for i := range b.N {
		time.Sleep(2 * time.Millisecond)
		start := time.Now()
		shm.Ring(p.request)
		wait(uint32(i + 1))
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1e3, "p99-us")
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N)/1e3, "cpu-us/op")
	b.ReportMetric(0, "ns/op")
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkWake(b *testing.B) {
	b.Run("os.File.Read eventfd", func(b *testing.B) {
		fd := eventfd(b)
		p := startPeer(b, "bell", fd, fd)
		benchmarkFile(b, p, os.NewFile(uintptr(fd), "eventfd"))
	})
	b.Run("os.File.Read pipe", func(b *testing.B) {
		read, write := pipe(b)
		p := startPeer(b, "bell", read, write)
		_ = syscall.SetNonblock(read, true)
		benchmarkFile(b, p, os.NewFile(uintptr(read), "pipe"))
	})
	b.Run("UnixConn.Read", func(b *testing.B) {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		p := startPeer(b, "bell", fds[0], fds[1])
		connection, err := net.FileConn(os.NewFile(uintptr(fds[0]), "socket"))
		if err != nil {
			b.Fatal(err)
		}
		defer connection.Close()
		var buffer [8]byte
		roundTrips(b, p, func(uint32) {
			if _, err := connection.Read(buffer[:]); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("RawConn.Read pipe, one goroutine", func(b *testing.B) {
		read, write := pipe(b)
		p := startPeer(b, "bell", read, write)
		_ = syscall.SetNonblock(read, true)
		file := os.NewFile(uintptr(read), "pipe")
		defer file.Close()
		raw, err := file.SyscallConn()
		if err != nil {
			b.Fatal(err)
		}
		var buffer [64]byte
		roundTrips(b, p, func(round uint32) {
			_ = raw.Read(func(fd uintptr) bool {
				if p.region.Word32(0).Load() < round {
					return false
				}
				_, _ = syscall.Read(int(fd), buffer[:])
				return true
			})
		})
	})
	b.Run("Pump and channel", func(b *testing.B) { benchmarkPump(b, 0) })
	b.Run("Pump and channel, spin first", func(b *testing.B) { benchmarkPump(b, Bound) })
	b.Run("blocking read", func(b *testing.B) {
		read, write := pipe(b)
		p := startPeer(b, "bell", read, write)
		var buffer [64]byte
		roundTrips(b, p, func(uint32) { _, _ = syscall.Read(read, buffer[:]) })
	})
	b.Run("blocking futex", func(b *testing.B) {
		fd := eventfd(b)
		p := startPeer(b, "futex", fd, fd)
		word := p.region.Word32(0)
		roundTrips(b, p, func(round uint32) {
			for seen := word.Load(); seen < round; seen = word.Load() {
				shmtest.FutexWait(word, seen)
			}
		})
	})
}

func benchmarkFile(b *testing.B, p *peer, file *os.File) {
	defer file.Close()
	var buffer [8]byte
	roundTrips(b, p, func(uint32) {
		if _, err := file.Read(buffer[:]); err != nil {
			b.Fatal(err)
		}
	})
}

// benchmarkPump is what the client does: a pump goroutine that hands over through a channel.
func benchmarkPump(b *testing.B, spin time.Duration) {
	read, write := pipe(b)
	p := startPeer(b, "bell", read, write)
	word := p.region.Word32(0)
	notify := make(chan struct{}, 1)
	var waitingFor atomic.Uint32
	pump, err := StartPump(read, func() {
		if round := waitingFor.Load(); round != 0 && word.Load() >= round && waitingFor.CompareAndSwap(round, 0) {
			notify <- struct{}{}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	defer pump.Close()
	policy := NewPolicy()
	roundTrips(b, p, func(round uint32) {
		for start := time.Now(); spin > 0 && time.Since(start) < spin; policy.Burst() {
			if word.Load() >= round {
				return
			}
		}
		waitingFor.Store(round)
		if word.Load() >= round && waitingFor.CompareAndSwap(round, 0) {
			return
		}
		<-notify
	})
}

// BenchmarkBell is the price of ringing, with nobody there who wakes up.
func BenchmarkBell(b *testing.B) {
	fd := eventfd(b)
	b.Run("RawSyscall", func(b *testing.B) {
		for b.Loop() {
			shm.Ring(fd)
		}
	})
	b.Run("Syscall", func(b *testing.B) {
		one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
		for b.Loop() {
			_, _ = syscall.Write(fd, one)
		}
	})
	b.Run("flag only", func(b *testing.B) {
		var asleep atomic.Uint64
		bell := Doorbell{&asleep, fd}
		for b.Loop() {
			bell.Ring()
		}
	})
}
