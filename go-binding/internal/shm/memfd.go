package shm

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// memfdCreateNumber is the system call's number; package syscall predates it.
var memfdCreateNumber = map[string]uintptr{"amd64": 319, "arm64": 279}

// CreateMemfd returns a memory file of size bytes, sealed like hearthd seals its own unless sealed
// is false. Clients never create shared memory; the stand-in server of the tests does.
func CreateMemfd(name string, size int64, sealed bool) (int, error) {
	const (
		cloexec      = 1
		allowSealing = 2
	)
	number, known := memfdCreateNumber[runtime.GOARCH]
	if !known {
		return -1, syscall.ENOSYS
	}
	text, err := syscall.BytePtrFromString(name)
	if err != nil {
		return -1, err
	}
	fd, _, errno := syscall.Syscall(number, uintptr(unsafe.Pointer(text)), cloexec|allowSealing, 0)
	if errno != 0 {
		return -1, fmt.Errorf("memfd_create: %w", errno)
	}
	if err := syscall.Ftruncate(int(fd), size); err != nil {
		_ = syscall.Close(int(fd))
		return -1, err
	}
	if sealed {
		_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, fAddSeals, sealShrink|sealGrow)
		if errno != 0 {
			_ = syscall.Close(int(fd))
			return -1, fmt.Errorf("sealing: %w", errno)
		}
	}
	return int(fd), nil
}

// NewEventfd returns a non-blocking eventfd; for the stand-in server of the tests.
func NewEventfd() (int, error) {
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return -1, fmt.Errorf("eventfd: %w", errno)
	}
	return int(fd), nil
}
