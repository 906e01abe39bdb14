package session_test

import (
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

func TestHostileAnswers(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		server, s, channel, ch := open(t)
		done := do(background, ch, nil, nil)
		m := channel.Next()
		at := channel.Control + layout.ChannelControlSize + ringBytes
		for offset := uint64(0); offset < ringBytes; offset += 64 {
			var raw ring.Header
			response := ring.Response{Length: random.Uint32() >> random.IntN(32), Opcode: uint16(random.IntN(9)),
				Flags: uint16(random.IntN(4)), CallID: m.CallID, Sequence: m.Sequence, Status: uint16(random.IntN(2))}
			response.Encode(&raw)
			server.Region.CopyIn(at+offset, raw[:])
		}
		server.Region.Word(channel.Control + layout.ChannelControlResponseTail).Store(uint64(1+random.IntN(256)) * 64)
		channel.Ring()
		s.Fail(errors.New("the test is over"))
		<-done
		s.Close(session.ErrClosed)
	}
}

func TestCloseWhileCallersAreInside(t *testing.T) {
	for range 50 {
		server, s, channel, ch := open(t)
		stop := make(chan struct{})
		var serving, calling sync.WaitGroup
		serving.Add(1)
		go func() {
			defer serving.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if m, _ := channel.TryNext(); m != nil && m.Sequence != 0 && m.Flags == 0 {
					channel.Put(m, 0, 0, nil, nil)
					channel.Publish()
				}
				runtime.Gosched()
			}
		}()
		for g := range 8 {
			calling.Add(1)
			go func() {
				defer calling.Done()
				for i := 0; ; i++ {
					var r session.Result
					r.Failure = ch.Start(background, &session.Request{Op: layout.OpSet}, "key")
					if r.Failure == nil {
						ch.Do(background, &session.Request{Op: layout.OpCall, Value: make([]byte, g*1000)}, nil, &r)
					}
					if r.Failure != nil {
						return
					}
				}
			}()
		}
		for range 100 {
			runtime.Gosched()
		}
		s.Close(session.ErrClosed)
		calling.Wait()
		close(stop)
		serving.Wait()
		_ = server
	}
}

func TestOpenRefuses(t *testing.T) {
	const at = layout.SessionHeaderOffset
	for name, harm := range map[string]func(s *fakeserver.Server){
		"magic":    func(s *fakeserver.Server) { s.Region.Word(0).Store(1) },
		"kind":     func(s *fakeserver.Server) { s.Region.Word32(layout.RegionPrefixKind).Store(1) },
		"version":  func(s *fakeserver.Server) { s.Region.Word32(layout.RegionPrefixLayoutVersion).Store(2) },
		"channels": func(s *fakeserver.Server) { s.Region.Word32(at + layout.SessionHeaderChannelCount).Store(2) },
		"ring":     func(s *fakeserver.Server) { s.Region.Word32(at + layout.SessionHeaderRequestRingBytes).Store(12345) },
		"offset":   func(s *fakeserver.Server) { s.Region.Word(at + layout.SessionHeaderChannelOffset).Store(1 << 60) },
		"stride":   func(s *fakeserver.Server) { s.Region.Word(at + layout.SessionHeaderChannelStride).Store(1<<64 - 64) },
		"touches":  func(s *fakeserver.Server) { s.Region.Word32(at + layout.SessionHeaderTouchEntries).Store(48) },
		"many":     func(s *fakeserver.Server) { s.Region.Word32(at + layout.SessionHeaderTouchEntries).Store(1 << 20) },
		"buffer":   func(s *fakeserver.Server) { s.Region.Word(at + layout.SessionHeaderTouchOffset).Store(1 << 62) },
		"pins":     func(s *fakeserver.Server) { s.Region.Word32(at + layout.SessionHeaderPinCount).Store(1 << 30) },
		"pin":      func(s *fakeserver.Server) { s.Region.Word(at + layout.SessionHeaderPinOffset).Store(1<<64 - 8) },
		"between":  func(s *fakeserver.Server) { s.Region.Word(at + layout.SessionHeaderPinOffset).Store(4097) },
		"answers":  func(s *fakeserver.Server) { s.Region.Word(at + layout.SessionHeaderResponseRingOffset).Store(1 << 62) },
	} {
		server, err := fakeserver.New(1, ringBytes)
		if err != nil {
			t.Fatal(err)
		}
		harm(server)
		if s, err := session.Open(server.Config()); err == nil {
			s.Close(session.ErrClosed)
			t.Errorf("%s: opened", name)
		}
		server.Close()
	}
}
