package shm

// AcquireFence keeps the loads before it in front of everything after it; see pause_arm64.s for
// why an acquire load does not do.
//
//go:noescape
func AcquireFence()
