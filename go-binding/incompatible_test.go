package hearth_test

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/internal/controlwire"
	"github.com/hearthd/hearth/go-binding/wire"
)

// answerHello listens on a socket and answers the first packet with a message.
func answerHello(t *testing.T, fill func(controlwire.ServerMessageBuilder)) (path string) {
	path = filepath.Join(t.TempDir(), "hearthd.sock")
	listener, err := net.Listen("unixpacket", path)
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var b wire.Builder
	b.ResetFramed(nil, int(controlwire.MaxPacketBytes))
	message := controlwire.NewRootServerMessage(&b)
	message.SetRequestId(1)
	fill(message)
	packet, err := b.Bytes()
	check(t, err)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		hello := make([]byte, controlwire.MaxPacketBytes)
		_, _ = connection.Read(hello)
		_, _ = connection.Write(packet)
	}()
	return path
}

func TestAnswersToHello(t *testing.T) {
	stated := func(code uint16) func(controlwire.ServerMessageBuilder) {
		return func(m controlwire.ServerMessageBuilder) {
			e := m.NewError()
			e.SetCode(code)
			e.SetMessage("because")
		}
	}
	for name, c := range map[string]struct {
		fill func(controlwire.ServerMessageBuilder)
		want error
		code hearth.Code
	}{
		"permission":        {stated(7), hearth.ErrPermission, hearth.CodePermissionDenied},
		"too many sessions": {stated(8), hearth.ErrOverloaded, hearth.CodeResourceExhausted},
		"shutting down":     {stated(14), hearth.ErrNotRunning, hearth.CodeUnavailable},
		"another answer":    {func(m controlwire.ServerMessageBuilder) { m.NewStatus() }, hearth.ErrNotHearth, hearth.CodeFailedPrecondition},
		"no descriptors": {func(m controlwire.ServerMessageBuilder) {
			w := m.NewWelcome()
			w.SetProtocol(controlwire.ProtocolVersion)
			w.SetChannels(2)
		}, hearth.ErrNotHearth, hearth.CodeFailedPrecondition},
		"another protocol": {func(m controlwire.ServerMessageBuilder) { m.NewWelcome().SetProtocol(9) },
			hearth.ErrIncompatible, hearth.CodeFailedPrecondition},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := hearth.Dial(background, hearth.WithSocket(answerHello(t, c.fill)))
			wantError(t, err, c.want, c.code, hearth.NotStarted)
		})
	}
}

func TestIncompatibleErrorNamesBothVersions(t *testing.T) {
	path := answerHello(t, func(m controlwire.ServerMessageBuilder) {
		e := m.NewError()
		e.SetCode(9)
		e.SetMessage("the layouts differ")
		mismatch := e.NewMismatch()
		mismatch.SetSubject(controlwire.MismatchSubjectStoreLayout)
		mismatch.SetClient("layout 1 (aaaa)")
		mismatch.SetServer("layout 2 (bbbb)")
	})
	_, err := hearth.Dial(background, hearth.WithSocket(path))
	wantError(t, err, hearth.ErrIncompatible, hearth.CodeFailedPrecondition, hearth.NotStarted)
	var incompatible *hearth.IncompatibleError
	if !errors.As(err, &incompatible) || *incompatible != (hearth.IncompatibleError{
		Subject: "storeLayout", Client: "layout 1 (aaaa)", Server: "layout 2 (bbbb)"}) {
		t.Fatalf("%#v", incompatible)
	}
}
