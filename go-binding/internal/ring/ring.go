package ring

import (
	"fmt"
	"sync/atomic"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Memory is where a ring lies.
type Memory struct {
	Region *shm.Region
	Offset uint64 // of the bytes
	Size   uint64 // a power of two
	Tail   *atomic.Uint64
	Head   *atomic.Uint64
}

// Payload is the content of a message: the concatenation of three parts, so that nobody has to
// join them first. Key is a string because keys are.
type Payload struct {
	Body  []byte
	Key   string
	Value []byte
}

// Len is the number of bytes.
func (p *Payload) Len() uint64 { return uint64(len(p.Body) + len(p.Key) + len(p.Value)) }

// Producer writes records.
type Producer struct {
	memory   Memory
	tail     uint64 // written, though perhaps not published
	seenHead uint64
}

// NewProducer continues at the ring's current position.
func NewProducer(memory Memory) *Producer {
	return &Producer{memory: memory, tail: memory.Tail.Load(), seenHead: memory.Head.Load()}
}

// Tail is the position behind the last record written.
func (p *Producer) Tail() uint64 { return p.tail }

// HasRoom reports whether a record of that payload fits now. At most MaxPayload bytes.
func (p *Producer) HasRoom(payload uint64) (bool, error) {
	need := p.pad(payload) + RecordBytes(payload)
	if p.tail+need-p.seenHead <= p.memory.Size {
		return true, nil
	}
	// SYNC acquire request-head: the consumer is done with the bytes before it.
	p.seenHead = p.memory.Head.Load()
	if p.tail-p.seenHead > p.memory.Size {
		return false, fmt.Errorf("%w: head %d, tail %d, %d bytes", ErrBroken, p.seenHead, p.tail, p.memory.Size)
	}
	return p.tail+need-p.seenHead <= p.memory.Size, nil
}

// pad is how many bytes a pad record must fill before a record of that payload.
func (p *Producer) pad(payload uint64) uint64 {
	left := p.memory.Size - p.tail&(p.memory.Size-1)
	if RecordBytes(payload) <= left {
		return 0
	}
	return left
}

// Put writes a record with n bytes of the payload from offset from on, after prefix. The caller has
// asked HasRoom(len(prefix)+n). Nobody sees the record before Publish.
func (p *Producer) Put(header *Header, prefix []byte, payload *Payload, from, n uint64) {
	length := uint64(len(prefix)) + n
	if pad := p.pad(length); pad > 0 {
		var filler Header // kOpPad is 0
		filler[layout.RequestHeaderLength] = byte(pad - layout.RecordHeaderBytes)
		filler[layout.RequestHeaderLength+1] = byte((pad - layout.RecordHeaderBytes) >> 8)
		filler[layout.RequestHeaderLength+2] = byte((pad - layout.RecordHeaderBytes) >> 16)
		p.memory.Region.CopyIn(p.at(p.tail), filler[:])
		p.tail += pad
	}
	at := p.at(p.tail)
	p.memory.Region.CopyIn(at, header[:])
	at += layout.RecordHeaderBytes
	p.memory.Region.CopyIn(at, prefix)
	p.copyPayload(at+uint64(len(prefix)), payload, from, n)
	p.tail += RecordBytes(length)
}

func (p *Producer) at(position uint64) uint64 {
	return p.memory.Offset + position&(p.memory.Size-1)
}

// copyPayload copies payload[from:from+n] to an offset of the region.
func (p *Producer) copyPayload(at uint64, payload *Payload, from, n uint64) {
	region := p.memory.Region
	if size := uint64(len(payload.Body)); from < size && n > 0 {
		part := payload.Body[from:min(size, from+n)]
		region.CopyIn(at, part)
		at, from, n = at+uint64(len(part)), from+uint64(len(part)), n-uint64(len(part))
	}
	from -= min(from, uint64(len(payload.Body)))
	if size := uint64(len(payload.Key)); from < size && n > 0 {
		part := payload.Key[from:min(size, from+n)]
		region.CopyInString(at, part)
		at, from, n = at+uint64(len(part)), from+uint64(len(part)), n-uint64(len(part))
	}
	from -= min(from, uint64(len(payload.Key)))
	if n > 0 {
		region.CopyIn(at, payload.Value[from:from+n])
	}
}

// Publish hands every record written so far to the consumer.
func (p *Producer) Publish() {
	// SYNC release request-tail: the records before it.
	// SYNC both server-asleep: stored before the flag is read (Doorbell), by Go's sequentially
	// consistent atomics; the server sets the flag before it looks at the tail once more.
	p.memory.Tail.Store(p.tail)
}

// Consumer reads records.
type Consumer struct {
	memory   Memory
	head     uint64 // consumed, though perhaps not released
	seenTail uint64
	length   uint64 // payload of the current record
}

// NewConsumer continues at the ring's current position.
func NewConsumer(memory Memory) *Consumer {
	head := memory.Head.Load()
	return &Consumer{memory: memory, head: head, seenTail: head}
}

// Pending reports whether something has been published that was not consumed. Unlike the other
// methods it may be called by anybody at any time; it is a hint.
func (m *Memory) Pending(head uint64) bool { return m.Tail.Load() != head }

// Head is the position behind the last record consumed.
func (c *Consumer) Head() uint64 { return c.head }

// Next copies the header of the next record. The record is current until Advance.
func (c *Consumer) Next(header *Header) (bool, error) {
	for {
		if c.head == c.seenTail {
			// SYNC acquire response-tail: the records before it.
			c.seenTail = c.memory.Tail.Load()
			if c.head == c.seenTail {
				return false, nil
			}
			if c.seenTail-c.head > c.memory.Size || c.seenTail%layout.RecordAlign != 0 {
				return false, c.broken("tail %d", c.seenTail)
			}
		}
		c.memory.Region.CopyOut(header[:], c.at())
		length := uint64(header.Length())
		left := c.memory.Size - c.head&(c.memory.Size-1)
		published := c.seenTail - c.head
		if header.Opcode() == layout.OpPad {
			if length+layout.RecordHeaderBytes != left || left > published {
				return false, c.broken("a pad of %d bytes with %d left in the ring", length, left)
			}
			c.head += left
			continue
		}
		if length > MaxPayload(c.memory.Size) || RecordBytes(length) > left || RecordBytes(length) > published {
			return false, c.broken("a record of %d bytes, %d published, %d left in the ring", length, published, left)
		}
		c.length = length
		return true, nil
	}
}

func (c *Consumer) broken(format string, arguments ...any) error {
	return fmt.Errorf("%w at %d: "+format, append([]any{ErrBroken, c.head}, arguments...)...)
}

func (c *Consumer) at() uint64 { return c.memory.Offset + c.head&(c.memory.Size-1) }

// AppendPayload appends the payload of the current record from offset from on.
func (c *Consumer) AppendPayload(dst []byte, from uint64) []byte {
	from = min(from, c.length)
	return c.memory.Region.Append(dst, c.at()+layout.RecordHeaderBytes+from, c.length-from)
}

// Advance goes past the current record and returns how many bytes of the ring it took.
func (c *Consumer) Advance() uint64 {
	bytes := RecordBytes(c.length)
	c.head += bytes
	return bytes
}

// Release gives the consumed bytes back to the producer.
func (c *Consumer) Release() {
	// SYNC release response-head: the records before it have been copied.
	c.memory.Head.Store(c.head)
}
