package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"syscall"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/controlwire"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/shm"
	"github.com/hearthd/hearth/go-binding/wire"
)

func (c *Conn) send(fill func(controlwire.ClientMessageBuilder)) error {
	packet, err := encode(fill)
	if err != nil {
		return err
	}
	_, err = c.socket.Write(packet)
	return err
}

func encode(fill func(controlwire.ClientMessageBuilder)) ([]byte, error) {
	var b wire.Builder
	b.ResetFramed(nil, int(controlwire.MaxPacketBytes))
	fill(controlwire.NewRootClientMessage(&b))
	return b.Bytes()
}

// receive reads one packet; it is empty at the end of the stream.
func (c *Conn) receive() (packet []byte, fds []int, err error) {
	buffer := make([]byte, controlwire.MaxPacketBytes)
	var n int
	readError := c.raw.Read(func(fd uintptr) bool {
		n, fds, err = shm.Receive(int(fd), buffer)
		if errors.Is(err, syscall.ECONNRESET) {
			// The daemon closed without reading all we sent. That is reported once, and before what it
			// has sent, such as why.
			n, fds, err = shm.Receive(int(fd), buffer)
		}
		return !shm.IsAgain(err)
	})
	if readError != nil {
		return nil, nil, readError
	}
	return buffer[:n], fds, err
}

// read takes answers to whoever asked, until the connection ends.
func (c *Conn) read() {
	defer close(c.done)
	for {
		packet, fds, err := c.receive()
		shm.CloseAll(fds) // none are expected after the welcome
		switch {
		case err != nil:
			c.end(fmt.Errorf("%w: control channel: %w", ErrEnded, err))
			return
		case len(packet) == 0:
			c.end(fmt.Errorf("%w: the daemon closed the connection", ErrEnded))
			return
		}
		if err := c.dispatch(packet); err != nil {
			c.end(err)
			return
		}
	}
}

func (c *Conn) dispatch(packet []byte) error {
	var m wire.Message
	message, err := open(&m, packet)
	if err != nil {
		return fmt.Errorf("%w: control channel: %w", ErrEnded, err)
	}
	var answer Answer
	switch message.Which() {
	case controlwire.ServerMessageWhichEnded:
		return fmt.Errorf("%w: %w", ErrEnded, statedError(&m, message.Ended()))
	case controlwire.ServerMessageWhichError:
		answer.Err = statedError(&m, message.Error())
	case controlwire.ServerMessageWhichNamespace:
		in := message.Namespace()
		answer = Answer{ID: uint32(in.Incarnation())<<layout.NamespaceIncarnationShift | uint32(in.Id()),
			MaxValueBytes: in.MaxValueBytes(), Writable: in.Writable()}
	case controlwire.ServerMessageWhichNamespaceStatus: // it has changed as was asked
	case controlwire.ServerMessageWhichMethod:
		answer = Answer{ID: message.Method().Id()}
	default:
		answer.Err = fmt.Errorf("%w: an answer of kind %v to a question about a name", ErrNotHearth, message.Which())
	}
	id := message.RequestId()
	if err := m.Err(); err != nil {
		return fmt.Errorf("%w: control channel: %w", ErrEnded, err)
	}
	c.mu.Lock()
	asked := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	if asked != nil {
		asked <- answer
	}
	return nil
}

// end fails everybody who waits for an answer.
func (c *Conn) end(err error) {
	c.mu.Lock()
	if c.ended == nil {
		c.ended = err
	}
	err = c.ended
	waiting := maps.Clone(c.waiting)
	clear(c.waiting)
	c.mu.Unlock()
	for _, asked := range waiting {
		asked <- Answer{Err: err}
	}
}

// Ended is closed when the daemon has ended the session or is gone; Cause says which.
func (c *Conn) Ended() <-chan struct{} { return c.done }

// Cause is why the connection ended. Only after Ended.
func (c *Conn) Cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// OpenNamespace asks for a namespace by name.
func (c *Conn) OpenNamespace(ctx context.Context, name string) (Answer, error) {
	return c.ask(ctx, writeOpenNamespace(name))
}

// OpenMethod asks for a method by name.
func (c *Conn) OpenMethod(ctx context.Context, name string) (Answer, error) {
	return c.ask(ctx, writeOpenMethod(name))
}

func writeOpenNamespace(name string) func(controlwire.ClientMessageBuilder) {
	return func(m controlwire.ClientMessageBuilder) { m.NewOpenNamespace().SetName(name) }
}

func writeOpenMethod(name string) func(controlwire.ClientMessageBuilder) {
	return func(m controlwire.ClientMessageBuilder) { m.NewOpenMethod().SetName(name) }
}

func (c *Conn) ask(ctx context.Context, fill func(controlwire.ClientMessageBuilder)) (Answer, error) {
	ctx, cancel := limit(ctx, c.path, c.timeout)
	defer cancel()
	if ctx.Err() != nil {
		return Answer{}, whyEnded(ctx)
	}
	asked := make(chan Answer, 1)
	c.mu.Lock()
	if c.ended != nil {
		defer c.mu.Unlock()
		return Answer{}, c.ended
	}
	id := c.nextID
	c.nextID = max(2, c.nextID+1) // 0 and 1 are taken
	c.waiting[id] = asked
	c.mu.Unlock()
	forget := func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}
	err := c.sendWithin(ctx, func(m controlwire.ClientMessageBuilder) {
		m.SetRequestId(id)
		fill(m)
	})
	if err != nil {
		forget()
		return Answer{}, err
	}
	select {
	case answer := <-asked:
		return answer, answer.Err
	case <-ctx.Done():
		forget()
		return Answer{}, whyEnded(ctx)
	}
}

// sendWithin sends a question. A daemon that reads nothing leaves no room for it at some point; then
// the wait ends with ctx.
func (c *Conn) sendWithin(ctx context.Context, fill func(controlwire.ClientMessageBuilder)) error {
	select {
	case c.sending <- struct{}{}:
		defer func() { <-c.sending }()
	case <-ctx.Done():
		return whyEnded(ctx)
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.socket.SetWriteDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	err := c.send(fill)
	if !stop() {
		<-interrupted
		_ = c.socket.SetWriteDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return whyEnded(ctx)
	case errors.Is(err, syscall.EPIPE):
		// The daemon is gone. What it said last, the reader knows when it is through.
		select {
		case <-c.done:
			return c.Cause()
		case <-ctx.Done():
			return whyEnded(ctx)
		}
	}
	return fmt.Errorf("%w: %w", ErrEnded, err)
}

// Close ends the connection and waits for the reader.
func (c *Conn) Close() {
	_ = c.socket.Close()
	<-c.done
}
