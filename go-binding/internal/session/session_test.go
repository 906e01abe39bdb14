package session_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/fakeserver"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/ring"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

const ringBytes = layout.MinRingBytes

var background = context.Background()

func open(t *testing.T) (*fakeserver.Server, *session.Session, *fakeserver.Channel, *session.Channel) {
	t.Helper()
	server, err := fakeserver.New(1, ringBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s, err := session.Open(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(session.ErrClosed) })
	return server, s, server.Channels[0], s.Channel(0)
}

// do runs a request on its own goroutine.
func do(ctx context.Context, ch *session.Channel, value []byte, dst []byte) <-chan session.Result {
	done := make(chan session.Result, 1)
	go func() {
		var result session.Result
		ch.Do(ctx, &session.Request{Op: layout.OpCall, Value: value}, dst, &result)
		done <- result
	}()
	return done
}

func TestRequestAndAnswer(t *testing.T) {
	for _, spinning := range []bool{true, false} {
		_, s, server, ch := open(t)
		if !spinning {
			session.NoSpinning(s)
		}
		for i := range 500 {
			done := do(background, ch, []byte("ping"), []byte("dst:"))
			m := server.Next()
			if m.Opcode != layout.OpCall || string(m.Payload) != "ping" || m.Sequence != uint64(i+1) {
				t.Fatalf("%+v", m)
			}
			server.Answer(m, 0, []byte("pong"))
			server.Answer(m, 0, []byte("again, as after a restart"))
			if r := <-done; r.Failure != nil || string(r.Value) != "dst:pong" || r.Version != 7 {
				t.Fatalf("%+v", r)
			}
		}
		if server.ClientAsleep() != 0 {
			t.Fatal("the client says it sleeps, and nobody waits")
		}
	}
}

func TestErrorAnswer(t *testing.T) {
	_, _, server, ch := open(t)
	done := do(background, ch, nil, []byte("dst"))
	server.Answer(server.Next(), 13, []byte("it broke"))
	if r := <-done; r.Status != 13 || r.Message != "it broke" || string(r.Value) != "dst" || r.Execution != 2 {
		t.Fatalf("%+v", r)
	}
}

func TestTheDoorbellIsRungOnlyForASleepingServer(t *testing.T) {
	_, _, server, ch := open(t)
	done := do(background, ch, nil, nil)
	server.Answer(server.Next(), 0, nil)
	<-done
	if n := server.Rings(); n != 0 {
		t.Fatalf("rung %d times while awake", n)
	}
	server.SetAsleep(true)
	done = do(background, ch, nil, nil)
	m := server.Next()
	server.Answer(m, 0, nil)
	<-done
	if n := server.Rings(); n != 1 {
		t.Fatalf("rung %d times while asleep, want 1", n)
	}
}

func TestCancelInFlightAndLateAnswer(t *testing.T) {
	_, _, server, ch := open(t)
	for range 200 { // far more than there is credit for: what a cancelled call holds must come back
		ctx, cancel := context.WithCancel(background)
		buffer := make([]byte, 0, 100)
		done := do(ctx, ch, []byte("slow"), buffer)
		m := server.Next()
		cancel()
		r := <-done
		if !errors.Is(r.Failure, context.Canceled) || r.Execution != 1 {
			t.Fatalf("%+v", r)
		}
		if c := server.Next(); c.Opcode != layout.OpCancel || c.CallID != m.CallID || c.Sequence != 0 {
			t.Fatalf("%+v, want a cancel of call %d", c, m.CallID)
		}
		server.Answer(m, 0, bytes.Repeat([]byte{0xee}, 50))
		done = do(background, ch, nil, nil)
		server.Answer(server.Next(), 0, []byte("next"))
		if r := <-done; string(r.Value) != "next" {
			t.Fatalf("%+v", r)
		}
		if bytes.Contains(buffer[:cap(buffer)], []byte{0xee}) {
			t.Fatal("the late answer was written into the buffer of a caller that had left")
		}
	}
	if n := session.Reserved(ch); n != 0 {
		t.Fatalf("%d bytes of credit are lost", n)
	}
}

func TestCreditIsKept(t *testing.T) {
	_, _, server, ch := open(t)
	var wg sync.WaitGroup
	const callers, calls = 50, 20
	for range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range calls {
				var r session.Result
				ch.Do(background, &session.Request{Op: layout.OpCall, Space: 900}, nil, &r)
				if r.Failure != nil || len(r.Value) != 500 {
					t.Errorf("%d bytes, %v", len(r.Value), r.Failure)
				}
			}
		}()
	}
	open := map[*fakeserver.Message]bool{}
	reserved := uint64(0)
	random := rand.New(rand.NewPCG(1, 2))
	for answered := 0; answered < callers*calls; {
		m, err := server.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if m != nil {
			open[m] = true
			reserved += uint64(m.ResponseSpace)
			if reserved > ring.Reservable(ringBytes) {
				t.Fatalf("%d bytes reserved of %d", reserved, ring.Reservable(ringBytes))
			}
		} else if len(open) == 0 {
			runtime.Gosched()
		}
		if len(open) > 0 && (m == nil || random.IntN(4) == 0) {
			for m := range open { // in any order
				reserved -= uint64(m.ResponseSpace)
				delete(open, m)
				server.Answer(m, 0, make([]byte, 500))
				answered++
				break
			}
		}
	}
	wg.Wait()
	if n := session.Reserved(ch); n != 0 {
		t.Fatalf("%d bytes of credit are lost", n)
	}
}

func TestLongRequests(t *testing.T) {
	_, _, server, ch := open(t)
	for _, size := range []int{4032, 4033, 4032 + 4024, 100_000, 64 << 20} {
		value := bytes.Repeat([]byte{1, 2, 3, 5, 7, 11, 13}, size/7+1)[:size]
		done := do(background, ch, value, nil)
		m := server.NextWhole()
		if !bytes.Equal(m.Payload, value) {
			t.Fatalf("%d bytes arrived as %d", size, len(m.Payload))
		}
		server.Answer(m, 0, nil)
		if r := <-done; r.Failure != nil {
			t.Fatal(r.Failure)
		}
	}
}

// stream sends a long answer as hearthd does: as much as the credit allows, then on with each
// kOpCredit. It stops at a kOpCancel.
func stream(t *testing.T, server *fakeserver.Channel, m *fakeserver.Message, payload []byte) (cancelled bool) {
	credit := uint64(m.ResponseSpace)
	most := ring.MaxPayload(ringBytes)
	prefix := binary.LittleEndian.AppendUint64(nil, uint64(len(payload)))
	flags := uint16(layout.RecordMore)
	for {
		n := min(uint64(len(payload)), most-uint64(len(prefix)))
		if credit >= 128 {
			n = min(n, credit-64-uint64(len(prefix)))
		} else {
			n = 0
		}
		if n == 0 {
			next := server.Next()
			switch {
			case next.Opcode == layout.OpCancel && next.CallID == m.CallID:
				server.Put(m, layout.RecordContinuation, 1, nil, nil)
				server.Publish()
				return true
			case next.Opcode != layout.OpCredit || next.CallID != m.CallID:
				t.Errorf("%+v instead of credit", next)
				return false
			}
			credit += uint64(next.ResponseSpace)
			continue
		}
		if n == uint64(len(payload)) {
			flags &^= layout.RecordMore
		}
		if !server.Put(m, flags, 0, prefix, payload[:n]) {
			t.Error("no room in spite of credit")
			return false
		}
		server.Publish()
		credit -= ring.RecordBytes(n + uint64(len(prefix)))
		payload, prefix = payload[n:], nil
		if flags&layout.RecordMore == 0 {
			return false
		}
		flags = layout.RecordMore | layout.RecordContinuation
	}
}

func TestLongAnswers(t *testing.T) {
	_, s, server, ch := open(t)
	largest := 64 << 20
	if runtime.GOMAXPROCS(0) == 1 {
		// The stand-in server polls in this process, so each wake-up takes the 10 ms after which the
		// runtime looks at its poller while goroutines are runnable.
		largest = 1 << 20
	}
	for _, size := range []int{2000, 5000, 300_000, largest} {
		if size == 300_000 {
			session.NoSpinning(s)
		}
		value := bytes.Repeat([]byte{1, 2, 3, 5, 7, 11, 13}, size/7+1)[:size]
		done := do(background, ch, nil, []byte("dst"))
		stream(t, server, server.Next(), value)
		if r := <-done; r.Failure != nil || !bytes.Equal(r.Value[3:], value) {
			t.Fatalf("%d bytes, %v", len(r.Value), r.Failure)
		}
		for m, _ := server.TryNext(); m != nil; m, _ = server.TryNext() { // credit for the last records
		}
	}
	ctx, cancel := context.WithCancel(background)
	*session.BeforeGrant = cancel
	done := do(ctx, ch, nil, nil)
	m := server.Next()
	if !stream(t, server, m, make([]byte, 10<<20)) {
		t.Error("no cancel arrived")
	}
	if r := <-done; !errors.Is(r.Failure, context.Canceled) {
		t.Fatalf("%+v", r.Failure)
	}
	*session.BeforeGrant = nil
	done = do(background, ch, nil, nil)
	for m = server.Next(); m.Opcode != layout.OpCall; m = server.Next() {
	}
	server.Answer(m, 0, nil)
	<-done
	if n := session.Reserved(ch); n != 0 {
		t.Fatalf("%d bytes of credit are lost", n)
	}
}

func TestSessionEnd(t *testing.T) {
	_, s, server, ch := open(t)
	waiting := do(background, ch, []byte("published"), nil)
	m := server.Next()
	// So long that it is far from complete when the other request comes through.
	incomplete := do(background, ch, make([]byte, 32<<20), nil)
	first := server.Next()
	for first.Flags&layout.RecordMore == 0 {
		first = server.Next()
	}
	answered := do(background, ch, []byte("answered"), nil)
	for {
		if next := server.Next(); string(next.Payload) == "answered" {
			server.Put(next, 0, 0, nil, []byte("in time"))
			server.PublishSilently() // and dies before it rings
			break
		}
	}
	_ = m
	cause := errors.New("it is over")
	s.Fail(cause)
	if r := <-waiting; !errors.Is(r.Failure, cause) || r.Execution != 1 {
		t.Errorf("a request that was published: %+v", r)
	}
	if r := <-incomplete; !errors.Is(r.Failure, cause) || r.Execution != 0 {
		t.Errorf("a request that was never complete: %+v", r)
	}
	if r := <-answered; r.Failure != nil || string(r.Value) != "in time" {
		t.Errorf("an answer that was published: %+v", r)
	}
	if r := <-do(background, ch, nil, nil); !errors.Is(r.Failure, cause) || r.Execution != 0 {
		t.Errorf("a request after the end: %+v", r)
	}
}

func TestCancelWhileWaitingForRoom(t *testing.T) {
	_, _, server, ch := open(t)
	ctx, cancel := context.WithCancel(background)
	long := do(ctx, ch, make([]byte, 1<<20), nil)
	first := server.Next() // and then nothing more: the ring fills up
	for server.ClientAsleep()&layout.ClientWaitsForSpace == 0 {
		runtime.Gosched()
	}
	cancel()
	if r := <-long; !errors.Is(r.Failure, context.Canceled) || r.Execution != 0 {
		t.Fatalf("%+v", r)
	}
	for { // the cancel comes once there is room for it
		m := server.Next()
		if m.Opcode == layout.OpCancel && m.CallID == first.CallID {
			break
		}
	}
	server.Answer(first, 1, []byte("cancelled"))
	done := do(background, ch, []byte("next"), nil)
	server.Answer(server.Next(), 0, nil)
	if r := <-done; r.Failure != nil {
		t.Fatal(r.Failure)
	}
}
