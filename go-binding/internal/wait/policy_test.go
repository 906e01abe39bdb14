package wait

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/shm"
)

func TestPolicyFollowsWhatItSees(t *testing.T) {
	p := NewPolicy()
	p.single.Store(false)
	if p.Budget(false) == 0 || p.Budget(true) == 0 {
		t.Fatal("a new policy does not try to spin")
	}
	for range 10 {
		p.TooSlow(false)
	}
	if p.Budget(false) != 0 {
		t.Error("it spins on after ten calls that were too slow")
	}
	if p.Budget(true) == 0 {
		t.Error("slow calls of an awake server forbid spinning for those that ring")
	}
	slept := 0
	for p.Budget(false) == 0 {
		p.Slept(false)
		slept++
	}
	if slept < 5 || slept > 200 {
		t.Errorf("it tried again after %d calls", slept)
	}
	p.TooSlow(false)
	if p.Budget(false) != 0 {
		t.Error("one slow try more and it still spins")
	}
	for p.Budget(false) == 0 {
		p.Slept(false)
	}
	for range 50 {
		p.Completed(false, 3)
	}
	p.TooSlow(false)
	if p.Budget(false) == 0 {
		t.Error("a single slow call among fast ones ends spinning")
	}
	p.single.Store(true)
	if p.Budget(false) != 0 {
		t.Error("it spins with one processor")
	}
}

func TestDoorbellAndFlag(t *testing.T) {
	fd, err := shm.NewEventfd()
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	var asleep atomic.Uint64
	bell := Doorbell{&asleep, fd}
	if bell.Ring() {
		t.Error("rang an awake server")
	}
	asleep.Store(1)
	if !bell.Ring() || asleep.Load() != 1 {
		t.Error("did not ring, or cleared the flag, which is the sleeper's")
	}
	var buffer [8]byte
	if n, _ := syscall.Read(fd, buffer[:]); n != 8 || buffer[0] != 1 {
		t.Errorf("the eventfd holds %v", buffer)
	}
	flag := Flag{&asleep}
	asleep.Store(0)
	flag.Set(1)
	flag.Set(2)
	flag.Clear(1)
	if asleep.Load() != 2 {
		t.Errorf("flag %d, want 2", asleep.Load())
	}
}

func TestPump(t *testing.T) {
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil { // blocking: the pump turns it
		t.Fatal(err)
	}
	defer syscall.Close(pipe[1])
	woken := make(chan struct{}, 1)
	pump, err := StartPump(pipe[0], func() { woken <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	<-woken // once at the start
	for range 1000 {
		if _, err := syscall.Write(pipe[1], []byte{1}); err != nil {
			t.Fatal(err)
		}
		<-woken
	}
	for range 3 { // more than it reads at once
		if _, err := syscall.Write(pipe[1], make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
	}
	<-woken
	go func() {
		for range woken {
		}
	}()
	pump.Close()
	close(woken)
}
