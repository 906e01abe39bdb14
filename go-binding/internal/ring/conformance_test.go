package ring

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/conformance"
	"github.com/hearthd/hearth/go-binding/internal/layout"
)

// record has the fields of every struct in records.json.
type record struct {
	Struct        string
	Length        uint32
	Opcode, Flags uint16
	CallID        uint32 `json:"call_id"`
	Target        uint32
	Sequence      conformance.Word
	DeadlineNs    conformance.Word  `json:"deadline_ns"`
	TraceID       conformance.Bytes `json:"trace_id"`
	SpanID        conformance.Bytes `json:"span_id"`
	TraceFlags    byte              `json:"trace_flags"`
	ResponseSpace uint32            `json:"response_space"`
	Status        uint16
	Execution     uint8
	Version       conformance.Word
	HardExpiryMs  conformance.Word `json:"hard_expiry_ms"`
	SoftExpiryMs  conformance.Word `json:"soft_expiry_ms"`
	RetryAfterMs  uint32           `json:"retry_after_ms"`
	HardTTLMs     conformance.Word `json:"hard_ttl_ms"`
	SoftTTLMs     conformance.Word `json:"soft_ttl_ms"`
	KeyLength     uint32           `json:"key_length"`
	ValueLength   uint32           `json:"value_length"`
	Mode          uint32
	Number        conformance.Word
	Expected      conformance.Word `json:"expected_version"`
	Delta         conformance.Word
	Initial       conformance.Word
	Token         conformance.Word
	Bytes         conformance.Bytes
}

func TestRecordsAreThoseOfCpp(t *testing.T) {
	var vectors []record
	conformance.Read(t, "write", "records.json", &vectors)
	seen := map[string]bool{}
	for _, v := range vectors {
		seen[v.Struct] = true
		switch v.Struct {
		case "RequestHeader":
			checkRequest(t, &v)
		case "ResponseHeader":
			checkResponse(t, &v)
		default:
			if got := body(&v); !bytes.Equal(got, v.Bytes) {
				t.Errorf("%s: % x, want % x", v.Struct, got, v.Bytes)
			}
		}
	}
	if len(seen) != 11 {
		t.Errorf("records of %v", seen)
	}
}

func checkRequest(t *testing.T, v *record) {
	want := Request{Length: v.Length, Opcode: v.Opcode, Flags: v.Flags, CallID: v.CallID, Target: v.Target,
		Sequence: uint64(v.Sequence), DeadlineNs: uint64(v.DeadlineNs), TraceID: [16]byte(v.TraceID), SpanID: [8]byte(v.SpanID),
		TraceFlags: v.TraceFlags, ResponseSpace: v.ResponseSpace}
	var got Request
	if got.Decode((*Header)(v.Bytes)); got != want {
		t.Errorf("decoded %+v, want %+v", got, want)
	}
	var raw Header
	if want.Encode(&raw); !bytes.Equal(raw[:], v.Bytes) {
		t.Errorf("encoded % x, want % x", raw, v.Bytes)
	}
}

func checkResponse(t *testing.T, v *record) {
	want := Response{Length: v.Length, Opcode: v.Opcode, Flags: v.Flags, CallID: v.CallID, Status: v.Status,
		Execution: v.Execution, Sequence: uint64(v.Sequence), Version: uint64(v.Version),
		HardExpiryMs: uint64(v.HardExpiryMs), SoftExpiryMs: uint64(v.SoftExpiryMs), RetryAfterMs: v.RetryAfterMs,
		Number: int64(v.Number)}
	var got Response
	if got.Decode((*Header)(v.Bytes)); got != want {
		t.Errorf("decoded %+v, want %+v", got, want)
	}
	var raw Header
	if want.Encode(&raw); !bytes.Equal(raw[:], v.Bytes) {
		t.Errorf("encoded % x, want % x", raw, v.Bytes)
	}
}

// body writes the body of a request with the offsets that the client uses.
func body(v *record) []byte {
	little := binary.LittleEndian
	switch v.Struct {
	case "SetBody":
		b := make([]byte, layout.SetBodySize)
		little.PutUint64(b[layout.SetBodyHardTtlMs:], uint64(v.HardTTLMs))
		little.PutUint64(b[layout.SetBodySoftTtlMs:], uint64(v.SoftTTLMs))
		little.PutUint32(b[layout.SetBodyKeyLength:], v.KeyLength)
		little.PutUint32(b[layout.SetBodyValueLength:], v.ValueLength)
		little.PutUint32(b[layout.SetBodyMode:], v.Mode)
		return b
	case "TouchBody":
		b := make([]byte, layout.TouchBodySize)
		little.PutUint64(b[layout.TouchBodyHardTtlMs:], uint64(v.HardTTLMs))
		little.PutUint64(b[layout.TouchBodySoftTtlMs:], uint64(v.SoftTTLMs))
		little.PutUint32(b[layout.TouchBodyKeyLength:], v.KeyLength)
		return b
	case "CasBody":
		b := make([]byte, layout.CasBodySize)
		little.PutUint64(b[layout.CasBodyHardTtlMs:], uint64(v.HardTTLMs))
		little.PutUint64(b[layout.CasBodySoftTtlMs:], uint64(v.SoftTTLMs))
		little.PutUint32(b[layout.CasBodyKeyLength:], v.KeyLength)
		little.PutUint32(b[layout.CasBodyValueLength:], v.ValueLength)
		little.PutUint64(b[layout.CasBodyExpectedVersion:], uint64(v.Expected))
		return b
	case "IncrementBody":
		b := make([]byte, layout.IncrementBodySize)
		little.PutUint64(b[layout.IncrementBodyHardTtlMs:], uint64(v.HardTTLMs))
		little.PutUint64(b[layout.IncrementBodySoftTtlMs:], uint64(v.SoftTTLMs))
		little.PutUint64(b[layout.IncrementBodyDelta:], uint64(v.Delta))
		little.PutUint64(b[layout.IncrementBodyInitial:], uint64(v.Initial))
		little.PutUint32(b[layout.IncrementBodyKeyLength:], v.KeyLength)
		little.PutUint32(b[layout.IncrementBodyFlags:], uint32(v.Flags))
		return b
	case "AppendBody":
		b := make([]byte, layout.AppendBodySize)
		little.PutUint32(b[layout.AppendBodyKeyLength:], v.KeyLength)
		little.PutUint32(b[layout.AppendBodyValueLength:], v.ValueLength)
		return b
	case "LeaseBody":
		b := make([]byte, layout.LeaseBodySize)
		little.PutUint32(b[layout.LeaseBodyKeyLength:], v.KeyLength)
		little.PutUint32(b[layout.LeaseBodyFlags:], uint32(v.Flags))
		return b
	case "FillBody":
		b := make([]byte, layout.FillBodySize)
		little.PutUint64(b[layout.FillBodyHardTtlMs:], uint64(v.HardTTLMs))
		little.PutUint64(b[layout.FillBodySoftTtlMs:], uint64(v.SoftTTLMs))
		little.PutUint64(b[layout.FillBodyToken:], uint64(v.Token))
		little.PutUint32(b[layout.FillBodyKeyLength:], v.KeyLength)
		little.PutUint32(b[layout.FillBodyValueLength:], v.ValueLength)
		little.PutUint32(b[layout.FillBodyFlags:], uint32(v.Flags))
		return b
	case "ReleaseBody":
		b := make([]byte, layout.ReleaseBodySize)
		little.PutUint64(b[layout.ReleaseBodyToken:], uint64(v.Token))
		little.PutUint32(b[layout.ReleaseBodyKeyLength:], v.KeyLength)
		return b
	case "KeyBody":
		b := make([]byte, layout.KeyBodySize)
		little.PutUint32(b[layout.KeyBodyKeyLength:], v.KeyLength)
		return b
	}
	return nil
}
