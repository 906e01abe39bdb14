package index_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/conformance"
	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

func TestHashesAreThoseOfCpp(t *testing.T) {
	var vectors []struct {
		Secret    [4]conformance.Word
		Namespace uint16
		Key       conformance.Bytes
		Hash      conformance.Word
	}
	conformance.Read(t, "write", "hash.json", &vectors)
	if len(vectors) < 100 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		var secret index.Secret
		for i, word := range v.Secret {
			secret[i] = uint64(word)
		}
		got := index.HashKey(&secret, index.NamespaceSeed(&secret, v.Namespace), string(v.Key))
		if got != uint64(v.Hash) {
			t.Errorf("%d bytes in namespace %d: %#x, want %#x", len(v.Key), v.Namespace, got, uint64(v.Hash))
		}
	}
}

func TestPackedWordsAreThoseOfCpp(t *testing.T) {
	type word = conformance.Word
	var vectors struct {
		Slots []struct {
			Tag, Frequency, Flags, Generation, Segment, Offset uint64
			Word                                               word
		}
		Directory []struct {
			Page, Depth, Sequence uint64
			Word                  word
		}
		Segments []struct {
			State, Generation uint64
			Word              word
		}
		Places []struct {
			Hash           word
			DirectoryBits  uint64 `json:"directory_bits"`
			DirectoryIndex uint64 `json:"directory_index"`
			HomeBucket     uint64 `json:"home_bucket"`
			Tag            uint64
		}
	}
	conformance.Read(t, "write", "slots.json", &vectors)
	if len(vectors.Slots) < 2 || len(vectors.Directory) < 2 || len(vectors.Segments) < 6 || len(vectors.Places) < 2 {
		t.Fatal("vectors are missing")
	}
	for _, v := range vectors.Slots {
		slot := uint64(v.Word)
		if slot>>layout.SlotTagShift != v.Tag || slot&layout.SlotFrequencyBits>>46 != v.Frequency ||
			(slot&layout.SlotUsed != 0) != (v.Flags == 1) || v.Flags > 1 ||
			slot>>layout.SlotGenerationShift&layout.SlotGenerationMask != v.Generation ||
			slot>>layout.SlotSegmentShift&layout.SlotSegmentMask != v.Segment ||
			slot&layout.SlotOffsetMask<<3 != v.Offset {
			t.Errorf("%+v", v)
		}
	}
	for _, v := range vectors.Directory {
		// A reader needs the page and the valid bit; depth and sequence only have to lie elsewhere.
		if uint64(v.Word)&0xffffffff != v.Page || uint64(v.Word)&layout.DirectoryValid == 0 ||
			uint64(v.Word)&^layout.DirectoryValid != v.Page|v.Depth<<56|v.Sequence<<32 {
			t.Errorf("%+v", v)
		}
	}
	for _, v := range vectors.Segments {
		if uint64(v.Word)>>layout.SegmentStateShift != v.State || uint64(v.Word)&layout.SegmentGenerationMask != v.Generation {
			t.Errorf("%+v", v)
		}
	}
	for _, v := range vectors.Places {
		hash := uint64(v.Hash)
		if hash>>(64-v.DirectoryBits) != v.DirectoryIndex || hash&0xffff != v.Tag ||
			layout.FirstHomeBucket+(hash&0xffffffff)*layout.HomeBuckets>>32 != v.HomeBucket {
			t.Errorf("%+v", v)
		}
	}
}

// Each entry that C++ wrote is put, byte for byte, where a slot points, and then looked up.
func TestEntriesOfCppAreRead(t *testing.T) { bothPaths(t, testEntriesOfCppAreRead) }

func testEntriesOfCppAreRead(t *testing.T) {
	var vectors []struct {
		Namespace      uint16
		Key, Value     conformance.Bytes
		Version        uint64
		Channel        uint64
		OriginSequence uint32           `json:"origin_sequence"`
		HardExpiryMs   conformance.Word `json:"hard_expiry_ms"`
		SoftExpiryMs   conformance.Word `json:"soft_expiry_ms"`
		Crc32c         conformance.Word
		Bytes          conformance.Bytes
	}
	conformance.Read(t, "write", "entries.json", &vectors)
	if len(vectors) < 15 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		key, raw := string(v.Key), v.Bytes
		w, _ := storetest.NewInMemory(storetest.Options{Namespaces: []string{"a", "b"}})
		w.Set(storetest.Entry{Namespace: v.Namespace, Key: key, Value: v.Value,
			HardExpiry: uint64(v.HardExpiryMs), SoftExpiry: uint64(v.SoftExpiryMs)})
		_, at := w.EntryOf(v.Namespace, key)
		w.Region.CopyIn(at, bytes.Repeat([]byte{0xee}, len(raw)))
		w.Region.CopyIn(at, raw)
		got, result, meta := lookup(w, v.Namespace, key)
		want := index.Meta{Version: v.Version, HardExpiryMs: uint64(v.HardExpiryMs), SoftExpiryMs: uint64(v.SoftExpiryMs)}
		meta.Stale = false // how much time has passed is not the vector's
		if result != index.Hit || got != string(v.Value) || meta.Entry() != want {
			t.Errorf("%q: %q, result %d, %+v; want %+v", clip(key), clip(got), result, meta, want)
		}
		little := binary.LittleEndian
		used := layout.EntryHeaderSize + len(key) + len(v.Value)
		for _, expiry := range []conformance.Word{v.HardExpiryMs, v.SoftExpiryMs} {
			if expiry != layout.Never {
				used += 8
			}
		}
		if little.Uint64(raw[layout.EntryHeaderVersionOrigin:])>>48 != v.Channel ||
			little.Uint32(raw[layout.EntryHeaderOriginSequence:]) != v.OriginSequence ||
			little.Uint32(raw[layout.EntryHeaderCrc32c:]) != uint32(v.Crc32c) || len(raw) != (used+7)&^7 ||
			crc32.Checksum(raw[4:used], crc32.MakeTable(crc32.Castagnoli)) != uint32(v.Crc32c) {
			t.Errorf("%q: origin, CRC or length of % x", clip(key), raw[:layout.EntryHeaderSize])
		}
	}
}

type storeList struct {
	LayoutVersion     uint32           `json:"layout_version"`
	LayoutFingerprint conformance.Word `json:"layout_fingerprint"`
	RegionBytes       int              `json:"region_bytes"`
	Namespaces        []struct {
		ID   uint64
		Name string
	}
	Entries []struct {
		Namespace    uint16
		Key          conformance.Bytes
		Hit          bool
		Value        conformance.Bytes
		Version      uint64
		HardExpiryMs conformance.Word `json:"hard_expiry_ms"`
		SoftExpiryMs conformance.Word `json:"soft_expiry_ms"`
		Stale        bool
	}
}

func TestAStoreThatCppWritesNowIsRead(t *testing.T) {
	bothPaths(t, func(t *testing.T) {
		var list storeList
		conformance.Read(t, "store", "store.json", &list)
		checkImage(t, conformance.File(t, "store", "store.img"), &list)
	})
}

// The store in the tree stands for those that running hosts have.
func TestTheStoreOfThisLayoutVersionIsRead(t *testing.T) {
	const folder = "../../../tests/conformance/vectors/"
	if os.Getenv("HEARTH_CONFORMANCE") == "" {
		t.Skip("HEARTH_CONFORMANCE is not set: the vectors may not be there")
	}
	file, err := os.Open(folder + "store.img.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	image, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(folder + "store.json")
	if err != nil {
		t.Fatal(err)
	}
	var list storeList
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	bothPaths(t, func(t *testing.T) { checkImage(t, image, &list) })
}

func checkImage(t *testing.T, image []byte, list *storeList) {
	if list.LayoutVersion != layout.StoreLayoutVersion || list.LayoutFingerprint != layout.StoreFingerprint ||
		list.RegionBytes != len(image) {
		t.Fatalf("a store of %d bytes, layout %d, fingerprint %#x", len(image), list.LayoutVersion, uint64(list.LayoutFingerprint))
	}
	words := make([]uint64, len(image)/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(image[8*i:])
	}
	region := shm.FromWords(words)
	store, err := index.Attach(region)
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range list.Namespaces {
		record := region.U64(layout.StoreHeaderOffset+layout.StoreHeaderNamespaceOffset) + ns.ID*layout.NamespaceRecordSize
		if !region.EqualString(record+layout.NamespaceRecordName, ns.Name) ||
			int(region.U8(record+layout.NamespaceRecordNameLength)) != len(ns.Name) {
			t.Errorf("namespace %d is not called %q", ns.ID, ns.Name)
		}
	}
	hits, misses := 0, 0
	for _, e := range list.Entries {
		ns, err := store.Namespace(uint32(e.Namespace))
		if err != nil {
			t.Fatal(err)
		}
		got, result, meta := lookupIn(store, &ns, string(e.Key))
		if !e.Hit {
			misses++
			if result != index.Miss {
				t.Errorf("%q: %q, result %d; want a miss", clip(string(e.Key)), clip(got), result)
			}
			continue
		}
		hits++
		want := index.Meta{Version: e.Version, HardExpiryMs: uint64(e.HardExpiryMs), SoftExpiryMs: uint64(e.SoftExpiryMs), Stale: e.Stale}
		if result != index.Hit || got != string(e.Value) || meta.Entry() != want {
			t.Errorf("%q: %q, result %d, %+v; want %+v", clip(string(e.Key)), clip(got), result, meta, want)
		}
		if _, result, _ := lookupIn(store, &ns, string(e.Key)+"?"); result != index.Miss {
			t.Errorf("%q with a question mark: result %d", clip(string(e.Key)), result)
		}
	}
	if hits != 40 || misses != 2 || len(list.Namespaces) != 2 {
		t.Errorf("%d hits, %d misses, %d namespaces", hits, misses, len(list.Namespaces))
	}
}
