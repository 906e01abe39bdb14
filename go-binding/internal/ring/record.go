package ring

import (
	"encoding/binary"
	"errors"

	"github.com/hearthd/hearth/go-binding/internal/layout"
)

// ErrBroken says that a ring contains what its other side cannot have written.
var ErrBroken = errors.New("the ring is broken")

// Header is the raw header of a record.
type Header [layout.RecordHeaderBytes]byte

// The first two fields are the same in both directions.

// Length is the number of payload bytes.
func (h *Header) Length() uint32 {
	return binary.LittleEndian.Uint32(h[layout.RequestHeaderLength:])
}

// Opcode says what the record is.
func (h *Header) Opcode() uint16 {
	return binary.LittleEndian.Uint16(h[layout.RequestHeaderOpcode:])
}

// Request is the header of a record to the server.
type Request struct {
	Length        uint32
	Opcode        uint16
	Flags         uint16
	CallID        uint32
	Target        uint32
	Sequence      uint64
	DeadlineNs    uint64
	TraceID       [16]byte
	SpanID        [8]byte
	TraceFlags    byte
	ResponseSpace uint32
}

// Encode writes r as the protocol lays it out.
func (r *Request) Encode(h *Header) {
	little := binary.LittleEndian
	little.PutUint32(h[layout.RequestHeaderLength:], r.Length)
	little.PutUint16(h[layout.RequestHeaderOpcode:], r.Opcode)
	little.PutUint16(h[layout.RequestHeaderFlags:], r.Flags)
	little.PutUint32(h[layout.RequestHeaderCallId:], r.CallID)
	little.PutUint32(h[layout.RequestHeaderTarget:], r.Target)
	little.PutUint64(h[layout.RequestHeaderSequence:], r.Sequence)
	little.PutUint64(h[layout.RequestHeaderDeadlineNs:], r.DeadlineNs)
	copy(h[layout.RequestHeaderTraceId:], r.TraceID[:])
	copy(h[layout.RequestHeaderSpanId:], r.SpanID[:])
	little.PutUint32(h[layout.RequestHeaderTraceFlags:], uint32(r.TraceFlags)) // and the reserved bytes
	little.PutUint32(h[layout.RequestHeaderResponseSpace:], r.ResponseSpace)
}

// Decode is the inverse of Encode; for servers.
func (r *Request) Decode(h *Header) {
	little := binary.LittleEndian
	r.Length = h.Length()
	r.Opcode = h.Opcode()
	r.Flags = little.Uint16(h[layout.RequestHeaderFlags:])
	r.CallID = little.Uint32(h[layout.RequestHeaderCallId:])
	r.Target = little.Uint32(h[layout.RequestHeaderTarget:])
	r.Sequence = little.Uint64(h[layout.RequestHeaderSequence:])
	r.DeadlineNs = little.Uint64(h[layout.RequestHeaderDeadlineNs:])
	copy(r.TraceID[:], h[layout.RequestHeaderTraceId:])
	copy(r.SpanID[:], h[layout.RequestHeaderSpanId:])
	r.TraceFlags = h[layout.RequestHeaderTraceFlags]
	r.ResponseSpace = little.Uint32(h[layout.RequestHeaderResponseSpace:])
}

// Response is the header of a record to the client.
type Response struct {
	Length       uint32
	Opcode       uint16
	Flags        uint16
	CallID       uint32
	Status       uint16
	Execution    uint8
	Sequence     uint64
	Version      uint64
	HardExpiryMs uint64
	SoftExpiryMs uint64
	RetryAfterMs uint32
	Number       int64
}

// Decode reads a header as the protocol lays it out.
func (r *Response) Decode(h *Header) {
	little := binary.LittleEndian
	r.Length = h.Length()
	r.Opcode = h.Opcode()
	r.Flags = little.Uint16(h[layout.ResponseHeaderFlags:])
	r.CallID = little.Uint32(h[layout.ResponseHeaderCallId:])
	r.Status = little.Uint16(h[layout.ResponseHeaderStatus:])
	r.Execution = h[layout.ResponseHeaderExecution]
	r.Sequence = little.Uint64(h[layout.ResponseHeaderSequence:])
	r.Version = little.Uint64(h[layout.ResponseHeaderVersion:])
	r.HardExpiryMs = little.Uint64(h[layout.ResponseHeaderHardExpiryMs:])
	r.SoftExpiryMs = little.Uint64(h[layout.ResponseHeaderSoftExpiryMs:])
	r.RetryAfterMs = little.Uint32(h[layout.ResponseHeaderRetryAfterMs:])
	r.Number = int64(little.Uint64(h[layout.ResponseHeaderNumber:]))
}

// Encode is the inverse of Decode; for servers.
func (r *Response) Encode(h *Header) {
	little := binary.LittleEndian
	*h = Header{}
	little.PutUint32(h[layout.ResponseHeaderLength:], r.Length)
	little.PutUint16(h[layout.ResponseHeaderOpcode:], r.Opcode)
	little.PutUint16(h[layout.ResponseHeaderFlags:], r.Flags)
	little.PutUint32(h[layout.ResponseHeaderCallId:], r.CallID)
	little.PutUint16(h[layout.ResponseHeaderStatus:], r.Status)
	h[layout.ResponseHeaderExecution] = r.Execution
	little.PutUint64(h[layout.ResponseHeaderSequence:], r.Sequence)
	little.PutUint64(h[layout.ResponseHeaderVersion:], r.Version)
	little.PutUint64(h[layout.ResponseHeaderHardExpiryMs:], r.HardExpiryMs)
	little.PutUint64(h[layout.ResponseHeaderSoftExpiryMs:], r.SoftExpiryMs)
	little.PutUint32(h[layout.ResponseHeaderRetryAfterMs:], r.RetryAfterMs)
	little.PutUint64(h[layout.ResponseHeaderNumber:], uint64(r.Number))
}

// RecordBytes is what a record of that payload takes in a ring, without a pad before it.
func RecordBytes(payload uint64) uint64 {
	return (layout.RecordHeaderBytes + payload + layout.RecordAlign - 1) &^ (layout.RecordAlign - 1)
}

// MaxPayload is the longest payload of one record in a ring of that size.
func MaxPayload(ringBytes uint64) uint64 { return ringBytes/4 - layout.RecordHeaderBytes }

// Reservable is how much of a response ring may be reserved for answers at once; the rest is for a
// pad record.
func Reservable(ringBytes uint64) uint64 { return ringBytes - ringBytes/4 }
