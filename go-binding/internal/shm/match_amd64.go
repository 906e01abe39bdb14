package shm

//go:noescape
func matchTag(line *Line, tag uint64) uint64
