package shm

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// Ring adds one to the eventfd fd. RawSyscall, because an ordinary system call tells the scheduler
// that the thread may block, which wakes the runtime's monitor thread of an idle process and costs
// more than the write. The write cannot block: it would take 2^64-2 unread rings.
func Ring(fd int) {
	one := uint64(1)
	// Nothing useful can be done about an error: the descriptor is ours and open, and a full
	// counter means that the other side has been rung.
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), 8)
}

// Monotonic reads CLOCK_MONOTONIC in nanoseconds.
func Monotonic() (uint64, error) {
	const clockMonotonic = 1
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic,
		uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("clock_gettime(CLOCK_MONOTONIC): %w", errno)
	}
	return uint64(ts.Sec)*1e9 + uint64(ts.Nsec), nil
}

// MaxDescriptors is how many descriptors one packet may carry (the kernel's SCM_MAX_FD is 253).
const MaxDescriptors = 64

// ErrTruncated is returned by Receive for a packet, or descriptors, that did not fit.
var ErrTruncated = errors.New("the packet was truncated")

// ErrDescriptorsLost is returned by Receive when this process could not take the descriptors of a
// packet, though there was room for them: it has no more.
var ErrDescriptorsLost = errors.New("this process has no descriptors left (see ulimit -n)")

// Receive reads one packet and its descriptors from a SOCK_SEQPACKET socket; n is 0 at the end of
// the stream. Descriptors arrive close-on-exec in the same step, so that no child process can
// inherit them. On an error every descriptor that came along has been closed.
func Receive(fd int, buffer []byte) (n int, fds []int, err error) {
	control := make([]byte, syscall.CmsgSpace(MaxDescriptors*4))
	n, controlLength, flags, _, err := syscall.Recvmsg(fd, buffer, control, syscall.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, nil, err
	}
	messages, parseError := syscall.ParseSocketControlMessage(control[:controlLength])
	for i := range messages {
		if got, err := syscall.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	switch {
	case parseError != nil:
		err = parseError
	case flags&syscall.MSG_CTRUNC != 0 && flags&syscall.MSG_TRUNC == 0 && len(fds) < MaxDescriptors:
		err = ErrDescriptorsLost
	case flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0:
		err = ErrTruncated
	}
	if err != nil {
		CloseAll(fds)
		return 0, nil, err
	}
	return n, fds, nil
}

// CloseAll closes descriptors, ignoring errors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
}

// PidDescriptor opens a non-blocking pidfd, which becomes readable when the process has ended.
func PidDescriptor(pid int) (int, error) {
	const pidfdOpen = 434 // the same number on every architecture
	fd, _, errno := syscall.Syscall(pidfdOpen, uintptr(pid), syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return -1, fmt.Errorf("pidfd_open: %w", errno)
	}
	return int(fd), nil
}

// IsAgain says that a non-blocking call found nothing, or was interrupted before it did.
func IsAgain(err error) bool { return err == syscall.EAGAIN || err == syscall.EINTR }
