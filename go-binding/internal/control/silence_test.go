package control

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/controlwire"
	"github.com/hearthd/hearth/go-binding/wire"
)

const methodID = 77

// welcomed returns a connection whose other end, the second result, has sent a welcome.
func welcomed(t *testing.T, timeout time.Duration) (*Conn, *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var b wire.Builder
	b.ResetFramed(nil, int(controlwire.MaxPacketBytes))
	message := controlwire.NewRootServerMessage(&b)
	message.SetRequestId(1)
	welcome := message.NewWelcome()
	welcome.SetProtocol(controlwire.ProtocolVersion)
	welcome.SetChannels(1)
	packet, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan *net.UnixConn, 1)
	go func() {
		defer close(accepted)
		server, err := listener.AcceptUnix()
		if err != nil {
			return
		}
		_, _ = server.Read(make([]byte, controlwire.MaxPacketBytes))
		any := int(os.Stderr.Fd()) // nobody looks at the descriptors here
		_, _, _ = server.WriteMsgUnix(packet, syscall.UnixRights(any, any, any, any), nil)
		accepted <- server
	}()
	c, w, err := Dial(context.Background(), path, Options{Channels: 1, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range append(w.ClientDoorbells, w.Region, w.StoreFD, w.Doorbell) {
		_ = syscall.Close(fd)
	}
	server := <-accepted
	t.Cleanup(func() {
		_ = server.Close()
		c.Close()
	})
	return c, server
}

func TestADaemonThatReadsNothingIsNotWaitedForWithoutEnd(t *testing.T) {
	c, server := welcomed(t, time.Minute)
	c.timeout = 2 * time.Millisecond // not of the handshake
	if err := c.socket.SetWriteBuffer(1); err != nil {
		t.Fatal(err)
	}
	for i := range 50 { // the socket is full after a few
		if _, err := c.OpenNamespace(context.Background(), "n"); !errors.Is(err, ErrNoAnswer) {
			t.Fatalf("question %d: %v", i, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.timeout = 0
	failed := make(chan error)
	for range 2 { // one in the system call, one behind it
		go func() {
			_, err := c.OpenMethod(ctx, "m")
			failed <- err
		}()
	}
	cancel()
	for range 2 {
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	// What was given up does not disturb what comes later.
	go func() {
		buffer := make([]byte, controlwire.MaxPacketBytes)
		for {
			n, err := server.Read(buffer)
			if err != nil || n == 0 {
				return
			}
			var m wire.Message
			if _, err := m.ReadFramed(buffer[:n]); err != nil {
				return
			}
			var b wire.Builder
			b.ResetFramed(nil, 0)
			answer := controlwire.NewRootServerMessage(&b)
			answer.SetRequestId(controlwire.RootClientMessage(&m).RequestId())
			answer.NewMethod().SetId(methodID)
			packet, _ := b.Bytes()
			_, _ = server.Write(packet)
		}
	}()
	if answer, err := c.OpenMethod(context.Background(), "m"); err != nil || answer.ID != methodID {
		t.Fatal(answer, err)
	}
}

// A daemon that has no time for anybody says so and closes, without having read a thing.
func TestTheLastWordIsHeardThoughNothingWasRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var b wire.Builder
	b.ResetFramed(nil, int(controlwire.MaxPacketBytes))
	ended := controlwire.NewRootServerMessage(&b).NewEnded()
	ended.SetCode(8)
	ended.SetMessage("too many connections")
	packet, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, hello := range []bool{false, true} { // whether hello arrives before the close
		go func() {
			server, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			defer server.Close()
			_, _ = server.Write(packet)
			if hello {
				raw, _ := server.SyscallConn()
				_ = raw.Read(func(fd uintptr) bool {
					_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
					return err == nil
				})
			}
		}()
		_, _, err := Dial(context.Background(), path, Options{Channels: 1, Timeout: time.Minute})
		var stated *Error
		if !errors.As(err, &stated) || stated.Message != "too many connections" {
			t.Errorf("hello read %v: %v", hello, err)
		}
	}
}

func TestAQuestionToADaemonThatIsGoneHearsItsLastWord(t *testing.T) {
	c, server := welcomed(t, time.Minute)
	var b wire.Builder
	b.ResetFramed(nil, int(controlwire.MaxPacketBytes))
	controlwire.NewRootServerMessage(&b).NewEnded().SetMessage("stopping")
	packet, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = server.Write(packet)
	_ = server.Close()
	var stated *Error
	if _, err := c.OpenNamespace(context.Background(), "n"); !errors.As(err, &stated) || stated.Message != "stopping" {
		t.Errorf("%v", err)
	}
}
