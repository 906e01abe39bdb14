package index

import (
	"math/bits"

	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Secret is the hash secret of a store.
type Secret [4]uint64

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// NamespaceSeed is what HashKey takes for the keys of one namespace.
func NamespaceSeed(secret *Secret, namespace uint16) uint64 {
	seed := uint64(namespace)
	return seed ^ mix(seed^secret[0], secret[1])
}

// HashKey is wyhash final version 4 with the store's secrets, the same function as in
// core/base/hash.cc; hash_test.go pins it to vectors computed there.
func HashKey(secret *Secret, seed uint64, key string) uint64 {
	n := len(key)
	var a, b uint64
	switch {
	case n > 16:
		seed, a, b = hashLong(secret, seed, key)
	case n >= 4:
		step := n >> 3 << 2
		a = shm.Load32(key, 0)<<32 | shm.Load32(key, step)
		b = shm.Load32(key, n-4)<<32 | shm.Load32(key, n-4-step)
	case n > 0:
		a = uint64(key[0])<<16 | uint64(key[n>>1])<<8 | uint64(key[n-1])
	}
	high, low := bits.Mul64(a^secret[1], b^seed)
	return mix(low^secret[0]^uint64(n), high^secret[1])
}

// hashLong folds all of a key longer than 16 bytes but the last 16 into the seed, and returns those
// as two words.
func hashLong(secret *Secret, seed uint64, key string) (folded, a, b uint64) {
	left := len(key)
	p := 0
	if left > 48 {
		lane1, lane2 := seed, seed
		for left > 48 {
			seed = mix(shm.Load64(key, p)^secret[1], shm.Load64(key, p+8)^seed)
			lane1 = mix(shm.Load64(key, p+16)^secret[2], shm.Load64(key, p+24)^lane1)
			lane2 = mix(shm.Load64(key, p+32)^secret[3], shm.Load64(key, p+40)^lane2)
			p += 48
			left -= 48
		}
		seed ^= lane1 ^ lane2
	}
	for left > 16 {
		seed = mix(shm.Load64(key, p)^secret[1], shm.Load64(key, p+8)^seed)
		p += 16
		left -= 16
	}
	return seed, shm.Load64(key, p+left-16), shm.Load64(key, p+left-8)
}
