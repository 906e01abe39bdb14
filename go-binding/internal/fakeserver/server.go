// Package fakeserver is the other side of a session, for tests: it creates the region and the
// doorbells and serves the rings step by step, so that a test decides what happens when. hearthd is
// the real one.
package fakeserver

import (
	"encoding/binary"
	"runtime"
	"sync"
	"syscall"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/ring"
	"github.com/hearthd/hearth/go-binding/internal/session"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Server owns a session region.
type Server struct {
	Region   *shm.Region
	Channels []*Channel
	doorbell int
	config   session.Config
}

// Channel is the server's side of one channel. Safe for concurrent use, so that a hook on the client's
// goroutine can play the server.
type Channel struct {
	mu                        sync.Mutex
	Requests                  *ring.Consumer
	Answers                   *ring.Producer
	RingSize                  uint64
	region                    *shm.Region
	Control, Touches          uint64 // offsets of the ChannelControl and of the touch buffer
	requestMemory, answerRing ring.Memory
	pipe                      int
	doorbell                  int
}

// Message is a request as it was received.
type Message struct {
	ring.Request
	Payload []byte
}

// TouchEntries is the size of each channel's touch buffer, and Pins the number of pin records, which lie
// behind the header.
const (
	TouchEntries = 64
	Pins         = 8
)

const pinBytes = Pins * layout.PinRecordSize

// New creates a region with rings of the same size in both directions.
func New(channels int, ringBytes uint64) (*Server, error) {
	stride := uint64(layout.ChannelControlSize) + 2*ringBytes + 8*TouchEntries
	size := layout.SessionHeaderBytes + pinBytes + stride*uint64(channels)
	fd, err := shm.CreateMemfd("fake-session", int64(size), true)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	mine, err := shm.Map(fd, true)
	if err != nil {
		return nil, err
	}
	theirs, err := shm.Map(fd, true)
	if err != nil {
		return nil, err
	}
	doorbell, err := shm.NewEventfd()
	if err != nil {
		return nil, err
	}
	s := &Server{Region: mine, doorbell: doorbell}
	client, err := syscall.Dup(doorbell)
	if err != nil {
		return nil, err
	}
	s.config = session.Config{Region: theirs, ServerDoorbell: client, MaxMessageBytes: 64 << 20}
	s.writeHeader(uint32(channels), uint32(ringBytes), stride)
	for i := range uint64(channels) {
		if err := s.addChannel(layout.SessionHeaderBytes+pinBytes+i*stride, ringBytes); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Config is what a client's session.Open takes. It may be used once.
func (s *Server) Config() session.Config { return s.config }

func (s *Server) writeHeader(channels, ringBytes uint32, stride uint64) {
	put32 := func(offset uint64, v uint32) { s.Region.Word32(offset).Store(v) }
	put64 := func(offset uint64, v uint64) { s.Region.Word(offset).Store(v) }
	put32(layout.RegionPrefixHeaderBytes, layout.SessionHeaderBytes)
	put32(layout.RegionPrefixLayoutVersion, layout.SessionLayoutVersion)
	put64(layout.RegionPrefixLayoutFingerprint, layout.SessionFingerprint)
	put32(layout.RegionPrefixState, layout.RegionStateLive)
	put32(layout.RegionPrefixKind, layout.RegionKindSession)
	put64(layout.RegionPrefixRegionBytes, s.Region.Size())
	const at = layout.SessionHeaderOffset
	put32(at+layout.SessionHeaderChannelCount, channels)
	put32(at+layout.SessionHeaderRequestRingBytes, ringBytes)
	put32(at+layout.SessionHeaderResponseRingBytes, ringBytes)
	put32(at+layout.SessionHeaderPinCount, Pins)
	put64(at+layout.SessionHeaderPinOffset, layout.SessionHeaderBytes)
	put64(at+layout.SessionHeaderChannelOffset, layout.SessionHeaderBytes+pinBytes)
	put64(at+layout.SessionHeaderChannelStride, stride)
	put64(at+layout.SessionHeaderRequestRingOffset, layout.ChannelControlSize)
	put64(at+layout.SessionHeaderResponseRingOffset, layout.ChannelControlSize+uint64(ringBytes))
	put32(at+layout.SessionHeaderTouchEntries, TouchEntries)
	put64(at+layout.SessionHeaderTouchOffset, layout.ChannelControlSize+2*uint64(ringBytes))
	put64(layout.RegionPrefixMagic, layout.RegionMagic)
}

func (s *Server) addChannel(at, ringBytes uint64) error {
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return err
	}
	s.config.ClientDoorbells = append(s.config.ClientDoorbells, pipe[0])
	memory := func(offset, tail, head uint64) ring.Memory {
		return ring.Memory{Region: s.Region, Offset: at + offset, Size: ringBytes,
			Tail: s.Region.Word(at + tail), Head: s.Region.Word(at + head)}
	}
	requests := memory(layout.ChannelControlSize, layout.ChannelControlRequestTail, layout.ChannelControlRequestHead)
	answers := memory(layout.ChannelControlSize+ringBytes, layout.ChannelControlResponseTail, layout.ChannelControlResponseHead)
	s.Channels = append(s.Channels, &Channel{
		Requests: ring.NewConsumer(requests), Answers: ring.NewProducer(answers), RingSize: ringBytes,
		region: s.Region, Control: at, Touches: at + layout.ChannelControlSize + 2*ringBytes, requestMemory: requests, answerRing: answers, pipe: pipe[1], doorbell: s.doorbell,
	})
	return nil
}

// Close releases the server's descriptors.
func (s *Server) Close() {
	_ = syscall.Close(s.doorbell)
	for _, c := range s.Channels {
		_ = syscall.Close(c.pipe)
	}
	_ = s.Region.Unmap()
}

// TryNext takes the next request, if there is one, and gives its bytes back.
func (c *Channel) TryNext() (*Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var raw ring.Header
	ok, err := c.Requests.Next(&raw)
	if !ok || err != nil {
		return nil, err
	}
	m := &Message{}
	m.Decode(&raw)
	m.Payload = c.Requests.AppendPayload(nil, 0)
	c.Requests.Advance()
	c.Requests.Release()
	c.ringIf(layout.ClientWaitsForSpace)
	return m, nil
}

// Next waits for the next request.
func (c *Channel) Next() *Message {
	for {
		m, err := c.TryNext()
		if err != nil {
			panic(err)
		}
		if m != nil {
			return m
		}
		runtime.Gosched()
	}
}

// NextWhole waits for the next message and puts a long one together. Only one may be under way.
func (c *Channel) NextWhole() *Message {
	first := c.Next()
	if first.Flags&layout.RecordMore == 0 {
		return first
	}
	total := binary.LittleEndian.Uint64(first.Payload)
	first.Payload = append(make([]byte, 0, total), first.Payload[8:]...)
	for uint64(len(first.Payload)) < total {
		next := c.Next()
		if next.CallID != first.CallID || next.Flags&layout.RecordContinuation == 0 {
			panic("fakeserver: records of two messages; use Next")
		}
		first.Payload = append(first.Payload, next.Payload...)
	}
	return first
}

// Put writes one record of an answer without publishing it; false if the ring is full.
func (c *Channel) Put(m *Message, flags, status uint16, prefix, payload []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	length := uint64(len(prefix) + len(payload))
	if room, err := c.Answers.HasRoom(length); err != nil || !room {
		return false
	}
	var raw ring.Header
	(&ring.Response{Length: uint32(length), Opcode: m.Opcode, Flags: flags, CallID: m.CallID, Status: status,
		Execution: 2, Sequence: m.Sequence, Version: 7}).Encode(&raw)
	c.Answers.Put(&raw, prefix, &ring.Payload{Value: payload}, 0, uint64(len(payload)))
	return true
}

// Publish hands over what was put and rings if the client asks for it.
func (c *Channel) Publish() {
	c.PublishSilently()
	c.ringIf(layout.ClientWaitsForResponse)
}

// PublishSilently is Publish by a server that dies before it rings.
func (c *Channel) PublishSilently() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Answers.Publish()
}

// Answer sends an answer of one record.
func (c *Channel) Answer(m *Message, status uint16, payload []byte) {
	if !c.Put(m, 0, status, nil, payload) {
		panic("fakeserver: no room for an answer")
	}
	c.Publish()
}

func (c *Channel) ringIf(bit uint64) {
	if c.ClientAsleep()&bit != 0 {
		_, _ = syscall.Write(c.pipe, []byte{1})
	}
}

// ClientAsleep is the client_asleep word.
func (c *Channel) ClientAsleep() uint64 {
	return c.region.Word(c.Control + layout.ChannelControlClientAsleep).Load()
}

// SetAsleep sets server_asleep.
func (c *Channel) SetAsleep(asleep bool) {
	value := uint64(0)
	if asleep {
		value = 1
	}
	c.region.Word(c.Control + layout.ChannelControlServerAsleep).Store(value)
}

// Rings takes the number of times the server's doorbell was rung.
func (c *Channel) Rings() uint64 {
	var buffer [8]byte
	if n, _ := syscall.Read(c.doorbell, buffer[:]); n != len(buffer) {
		return 0
	}
	return binary.LittleEndian.Uint64(buffer[:])
}

// Ring rings the client's doorbell without having published anything.
func (c *Channel) Ring() { _, _ = syscall.Write(c.pipe, []byte{1}) }
