//go:build !amd64

package shm

func matchTag(line *Line, tag uint64) uint64 {
	var matches uint64
	for i := 1; i < len(line); i++ {
		matches |= ((line[i].Load()>>48 ^ tag) - 1) >> 63 << (4*i + 3)
	}
	return matches
}
