package index

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
)

// Cursor is where a scan stands. FORMAT.md section 8 has its bytes, core/cache/scan_cursor.h the same
// in C++.
type Cursor struct {
	Store     [16]byte
	Handle    uint32 // of the namespace
	Hash      uint64 // all keys with smaller hashes are done
	Directory uint64 // the directory word of the page that was begun; 0 = none
	Position  uint16 // slots of that page that are done
}

const (
	cursorVersion = 1
	cursorBytes   = 43
)

// String is the cursor as text: 86 characters.
func (c *Cursor) String() string {
	b := make([]byte, 0, cursorBytes)
	b = append(append(b, cursorVersion), c.Store[:]...)
	b = binary.LittleEndian.AppendUint32(b, c.Handle)
	b = binary.LittleEndian.AppendUint64(b, c.Hash)
	b = binary.LittleEndian.AppendUint64(b, c.Directory)
	b = binary.LittleEndian.AppendUint16(b, c.Position)
	return hex.EncodeToString(binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
}

// ParseCursor is false for anything that String has not written.
func ParseCursor(text string) (c Cursor, ok bool) {
	var b [cursorBytes]byte
	if len(text) != 2*len(b) {
		return c, false
	}
	if _, err := hex.Decode(b[:], []byte(text)); err != nil {
		return c, false
	}
	at := binary.LittleEndian
	copy(c.Store[:], b[1:])
	c.Handle = at.Uint32(b[17:])
	c.Hash = at.Uint64(b[21:])
	c.Directory = at.Uint64(b[29:])
	c.Position = at.Uint16(b[37:])
	return c, b[0] == cursorVersion && at.Uint32(b[39:]) == crc32.Checksum(b[:39], castagnoli)
}
