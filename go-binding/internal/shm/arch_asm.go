//go:build amd64 || arm64

package shm

import "unsafe"

//go:noescape
func pause(n uint32)

//go:noescape
func prefetch(p unsafe.Pointer)
