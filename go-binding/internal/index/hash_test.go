package index

import "testing"

// Computed by core/base/hash.cc over the same secret and keys.
var (
	vectorSecret = Secret{0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3, 0x589965cc75374cc3}
	seedVectors  = []struct {
		namespace uint16
		seed      uint64
	}{{0, 0x1ff5c2923a788d2c}, {1, 0x38f94c439ac36243}, {7, 0xaeec5559c50a6f2c}, {65535, 0x08661631f00c8643}}
	keyVectors = []struct {
		length int
		hash   uint64
	}{
		{1, 0xc3c97281117c4f11},
		{2, 0x465814cfff92bef5},
		{3, 0x5f9ec47502479faa},
		{4, 0x0ff28bce7f28acdc},
		{7, 0x1e7b0a05b98085a4},
		{8, 0x77ac541c10c5cec0},
		{9, 0xbfe1f95e9aa41d5d},
		{15, 0x397357015864a208},
		{16, 0xcd6f20b06d2f6bc9},
		{17, 0x01f4f786ebe851df},
		{31, 0x2b4d0aa86e24c67d},
		{32, 0x6438d78b7ea5b03f},
		{33, 0xdc7cf76eac91b86c},
		{47, 0x3d09ed19a7a2122c},
		{48, 0x47d3e8fe10ac6692},
		{49, 0x376384f2ce413690},
		{63, 0x8e9c7fa64273c78b},
		{64, 0xdb10b8b22c5deca1},
		{96, 0xe57b32a146fc9ba4},
		{97, 0x9cbc1c83b6d78a8b},
		{144, 0x8ad8d9bb49722dda},
		{145, 0xfbb2c8175c3e5c2b},
		{1024, 0x2d92eb69d9e694ae},
	}
)

func vectorKey(length int) string {
	key := make([]byte, length)
	for i := range key {
		key[i] = byte(i*131 + length*7)
	}
	return string(key)
}

func TestHashVectors(t *testing.T) {
	for _, v := range seedVectors {
		if got := NamespaceSeed(&vectorSecret, v.namespace); got != v.seed {
			t.Errorf("seed of namespace %d = %#x, want %#x", v.namespace, got, v.seed)
		}
	}
	seed := NamespaceSeed(&vectorSecret, 7)
	for _, v := range keyVectors {
		if got := HashKey(&vectorSecret, seed, vectorKey(v.length)); got != v.hash {
			t.Errorf("hash of %d bytes = %#x, want %#x", v.length, got, v.hash)
		}
	}
}

func TestHashOfEveryLengthDiffers(t *testing.T) {
	seen := map[uint64]int{}
	for length := range 1025 {
		hash := HashKey(&vectorSecret, 1, vectorKey(length))
		if other, dup := seen[hash]; dup {
			t.Fatalf("keys of %d and %d bytes have the same hash", other, length)
		}
		seen[hash] = length
	}
}
