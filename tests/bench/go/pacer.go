package main

import (
	"encoding/binary"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Pacer releases a goroutine at instants that are fixed beforehand: start + k * period.
//
// time.Sleep would not do, because an idle Go process sleeps in epoll_wait, whose timeout has whole
// milliseconds. A periodic timerfd does: the kernel's high-resolution timer makes it readable, and
// the goroutine is woken through the runtime's netpoller, just as it is when a request arrives at
// a service. The wake-up costs every peer the same, latency and CPU; the side called "pacing alone"
// shows how much.
type Pacer struct {
	file   *os.File
	start  time.Time
	period time.Duration
	next   int // the instant that comes next
	due    int // instants that have passed and were not taken
}

// NewPacer starts a schedule whose first instant is one period from now.
func NewPacer(period time.Duration) (*Pacer, error) {
	const monotonic, nonblockCloexec = 1, syscall.O_NONBLOCK | syscall.O_CLOEXEC
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, monotonic, nonblockCloexec, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("timerfd_create", errno)
	}
	p := &Pacer{file: os.NewFile(fd, "timerfd"), period: period}
	each := syscall.NsecToTimespec(int64(period))
	schedule := [2]syscall.Timespec{each, each} // interval, first
	p.start = time.Now()
	_, _, errno = syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&schedule)), 0, 0, 0)
	if errno != 0 {
		p.file.Close()
		return nil, os.NewSyscallError("timerfd_settime", errno)
	}
	return p, nil
}

// Wait returns at the next instant, or at once if that has passed already, and says when it was.
func (p *Pacer) Wait() (time.Time, error) {
	for p.due == 0 {
		var expirations [8]byte
		if _, err := p.file.Read(expirations[:]); err != nil {
			return time.Time{}, err
		}
		p.due = int(binary.NativeEndian.Uint64(expirations[:]))
	}
	p.due--
	p.next++
	return p.start.Add(time.Duration(p.next) * p.period), nil
}

// Close ends the schedule.
func (p *Pacer) Close() { p.file.Close() }
