// Package shmtest holds what only measurements need.
package shmtest

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// FutexWait blocks the thread while word holds value.
func FutexWait(word *atomic.Uint32, value uint32) {
	_, _, _ = syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 0, uintptr(value), 0, 0, 0)
}

// FutexWake wakes one waiter.
func FutexWake(word *atomic.Uint32) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 1, 1, 0, 0, 0)
}
