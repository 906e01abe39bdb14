// Package control is the control channel: the handshake that delivers shared memory, and the few
// questions a client asks about names. ipc/PROTOCOL.md section 2 is the contract.
package control

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/controlwire"
	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
	"github.com/hearthd/hearth/go-binding/wire"
)

// MaxSocketPath is the longest path of a Unix socket, in bytes.
const MaxSocketPath = 107

// Limits of what the daemon may send.
var packetLimits = wire.Limits{TraversalWords: 8192, Depth: 16}

var (
	// ErrSocketPath says that a path is too long for a Unix socket.
	ErrSocketPath = errors.New("the socket path is too long")
	// ErrNotHearth says that something else is at the path, or answers there.
	ErrNotHearth = errors.New("this is not hearthd")
	// ErrNotRunning says that nobody listens.
	ErrNotRunning = errors.New("hearthd is not running")
	// ErrNoAnswer says that something listens, but did not answer within Options.Timeout.
	ErrNoAnswer = errors.New("it may be stopped or overloaded")
	// ErrEnded says that the daemon is gone or ended the session.
	ErrEnded = errors.New("the session has ended")
)

// Error is an error that the daemon stated.
type Error struct {
	Code    uint16
	Message string
	// Of a handshake that failed for versions: what differs, and both sides.
	Subject, Client, Server string
}

func (e *Error) Error() string { return e.Message }

// Options of a handshake.
type Options struct {
	Name, Version, Store            string
	Channels                        uint16
	RequestRingBytes, ResponseBytes uint32
	// Timeout bounds the handshake and every later question whose context has no deadline; not
	// positive: nothing does.
	Timeout time.Duration
}

// Welcome is the daemon's answer to a handshake. Its descriptors belong to the receiver.
type Welcome struct {
	SessionID, Epoch               uint64
	ServerVersion, Store           string
	MaxValueBytes, MaxMessageBytes uint64
	ServerPID                      uint32
	SharedUID                      bool
	Region, StoreFD, Doorbell      int
	ClientDoorbells                []int
}

// Conn is an open control channel. Safe for concurrent use.
type Conn struct {
	socket  *net.UnixConn
	raw     syscall.RawConn
	path    string
	timeout time.Duration
	sending chan struct{} // holds a token while a question is being sent

	mu      sync.Mutex
	nextID  uint32
	waiting map[uint32]chan Answer
	ended   error
	done    chan struct{} // closed when the reader has ended
}

// Answer is the daemon's answer to a question.
type Answer struct {
	ID            uint32 // of the method, or the namespace's handle
	MaxValueBytes uint64
	Writable      bool
	Err           error
}

// Dial connects and shakes hands. ctx, or else Options.Timeout, bounds all of it.
func Dial(ctx context.Context, path string, options Options) (*Conn, *Welcome, error) {
	ctx, cancel := limit(ctx, path, options.Timeout)
	defer cancel()
	socket, err := connect(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		_ = socket.Close()
		return nil, nil, err
	}
	c := &Conn{socket: socket, raw: raw, path: path, timeout: options.Timeout, sending: make(chan struct{}, 1),
		nextID: 2, waiting: map[uint32]chan Answer{}, done: make(chan struct{})}
	welcome, err := c.handshake(ctx, options)
	if err != nil {
		_ = socket.Close()
		return nil, nil, err
	}
	go c.read()
	return c, welcome, nil
}

func (c *Conn) handshake(ctx context.Context, options Options) (*Welcome, error) {
	// A context that ends makes reads and writes that wait return at once.
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.socket.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	defer func() {
		if !stop() {
			<-interrupted // else it might end a session that has begun
		}
		_ = c.socket.SetDeadline(time.Time{})
	}()
	err := c.send(func(m controlwire.ClientMessageBuilder) { writeHello(m, &options) })
	var packet []byte
	var fds []int
	if err == nil || errors.Is(err, syscall.EPIPE) { // it closed at once, and may have said why
		packet, fds, err = c.receive()
	}
	switch {
	case ctx.Err() != nil:
		shm.CloseAll(fds)
		return nil, whyEnded(ctx)
	case errors.Is(err, shm.ErrTruncated):
		return nil, fmt.Errorf("%w: %w", ErrNotHearth, err)
	case err != nil:
		return nil, fmt.Errorf("handshake: %w", err)
	case len(packet) == 0:
		shm.CloseAll(fds)
		return nil, fmt.Errorf("%w: it closed the connection during the handshake", ErrNotHearth)
	}
	welcome, err := parseWelcome(packet, fds)
	if err != nil {
		shm.CloseAll(fds)
		return nil, err
	}
	return welcome, nil
}

func writeHello(m controlwire.ClientMessageBuilder, options *Options) {
	m.SetRequestId(1)
	hello := m.NewHello()
	hello.SetProtocolMin(controlwire.ProtocolVersion)
	hello.SetProtocolMax(controlwire.ProtocolVersion)
	store := hello.NewStoreLayout()
	store.SetVersion(layout.StoreLayoutVersion)
	store.SetFingerprint(layout.StoreFingerprint)
	session := hello.NewSessionLayout()
	session.SetVersion(layout.SessionLayoutVersion)
	session.SetFingerprint(layout.SessionFingerprint)
	hello.SetClientName(options.Name)
	hello.SetClientVersion(options.Version)
	hello.SetStore(options.Store)
	hello.SetChannels(options.Channels)
	hello.SetRequestRingBytes(options.RequestRingBytes)
	hello.SetResponseRingBytes(options.ResponseBytes)
}

func parseWelcome(packet []byte, fds []int) (*Welcome, error) {
	var m wire.Message
	message, err := open(&m, packet)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotHearth, err)
	}
	switch message.Which() {
	case controlwire.ServerMessageWhichWelcome:
	case controlwire.ServerMessageWhichError:
		return nil, statedError(&m, message.Error())
	case controlwire.ServerMessageWhichEnded:
		return nil, statedError(&m, message.Ended())
	default:
		return nil, fmt.Errorf("%w: it answered %v to hello", ErrNotHearth, message.Which())
	}
	in := message.Welcome()
	welcome := &Welcome{
		SessionID: in.SessionId(), Epoch: in.Epoch(), ServerVersion: in.ServerVersion(), Store: in.Store(),
		MaxValueBytes: in.MaxValueBytes(), MaxMessageBytes: in.MaxMessageBytes(),
		ServerPID: in.ServerPid(), SharedUID: in.SharedUid(),
	}
	channels := int(in.Channels())
	if err := m.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotHearth, err)
	}
	if in.Protocol() != controlwire.ProtocolVersion {
		return nil, &Error{Code: 9, Message: "the daemon chose a protocol that was not offered", Subject: "protocol",
			Client: fmt.Sprint("protocol ", controlwire.ProtocolVersion), Server: fmt.Sprint("protocol ", in.Protocol())}
	}
	if channels < 1 || channels > layout.MaxChannels || len(fds) != channels+3 {
		return nil, fmt.Errorf("%w: %d descriptors for %d channels", ErrNotHearth, len(fds), channels)
	}
	welcome.Region, welcome.Doorbell = fds[0], fds[1]
	welcome.ClientDoorbells = fds[2 : 2+channels]
	welcome.StoreFD = fds[2+channels]
	return welcome, nil
}

func open(m *wire.Message, packet []byte) (controlwire.ServerMessageReader, error) {
	m.SetLimits(packetLimits)
	rest, err := m.ReadFramed(packet)
	switch {
	case err != nil:
	case binary.LittleEndian.Uint32(packet) != 0: // the number of segments, less one
		err = errors.New("more than one segment in a packet")
	case len(rest) > 0:
		err = errors.New("more than one message in a packet")
	}
	return controlwire.RootServerMessage(m), err
}

func statedError(m *wire.Message, in controlwire.ErrorReader) error {
	e := &Error{Code: in.Code(), Message: in.Message()}
	if in.HasMismatch() {
		mismatch := in.Mismatch()
		e.Subject, e.Client, e.Server = mismatch.Subject().String(), mismatch.Client(), mismatch.Server()
	}
	if err := m.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotHearth, err)
	}
	return e
}

// OurLayout is what the handshake states, for errors.
func OurLayout() string {
	return "store " + index.DescribeLayout(layout.StoreLayoutVersion, layout.StoreFingerprint) +
		", session " + index.DescribeLayout(layout.SessionLayoutVersion, layout.SessionFingerprint)
}
