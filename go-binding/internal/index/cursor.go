package index

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"

	"github.com/hearthd/hearth/go-binding/internal/layout"
)

// Cursor is where a scan stands. FORMAT.md section 8 has its bytes, core/cache/scan_cursor.h the same
// in C++.
type Cursor struct {
	Store     [16]byte
	Namespace uint16
	NameCRC   uint32
	Hash      uint64 // all keys with smaller hashes are done
	Directory uint64 // the directory word of the page that was begun; 0 = none
	Position  uint16 // slots of that page that are done
}

const (
	cursorVersion = 1
	cursorBytes   = 45
)

// castagnoli is CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// String is the cursor as text: 90 characters.
func (c *Cursor) String() string {
	b := make([]byte, 0, cursorBytes)
	b = append(append(b, cursorVersion), c.Store[:]...)
	b = binary.LittleEndian.AppendUint16(b, c.Namespace)
	b = binary.LittleEndian.AppendUint32(b, c.NameCRC)
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
	c.Namespace = at.Uint16(b[17:])
	c.NameCRC = at.Uint32(b[19:])
	c.Hash = at.Uint64(b[23:])
	c.Directory = at.Uint64(b[31:])
	c.Position = at.Uint16(b[39:])
	return c, b[0] == cursorVersion && at.Uint32(b[41:]) == crc32.Checksum(b[:41], castagnoli)
}

// nameCRC is the CRC-32C of the name in a namespace's record.
func (s *Store) nameCRC(record uint64) uint32 {
	var name [layout.NamespaceRecordSize - layout.NamespaceRecordName]byte
	length := min(uint64(s.region.U8(record+layout.NamespaceRecordNameLength)), layout.MaxNamespaceNameBytes)
	s.region.CopyOut(name[:length], record+layout.NamespaceRecordName)
	return crc32.Checksum(name[:length], castagnoli)
}
