//go:build !amd64 && !arm64

package shm

import (
	"sync/atomic"
	"unsafe"
)

// Other architectures build, and are neither tested nor tuned. Big-endian ones are refused when a
// region is attached, because its magic number does not match.

//go:noinline
func pause(n uint32) {
	for ; n > 0; n-- {
	}
}

func prefetch(unsafe.Pointer) {}

// AcquireFence keeps the loads before it in front of everything after it. Read-modify-writes of
// sync/atomic are full barriers on every architecture Go supports.
func AcquireFence() {
	var word atomic.Uint32
	word.Add(1)
}
