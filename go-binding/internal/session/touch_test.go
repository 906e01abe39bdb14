package session_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/fakeserver"
	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/index/storetest"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

// touched is what the touch buffers of a session hold.
func touched(server *fakeserver.Server) (tails uint64, hashes []uint64) {
	for _, ch := range server.Channels {
		tails += server.Region.Word(ch.Control + layout.ChannelControlTouchTail).Load()
		for i := range uint64(fakeserver.TouchEntries) {
			if hash := server.Region.Word(ch.Touches + 8*i).Load(); hash != 0 {
				hashes = append(hashes, hash)
			}
		}
	}
	return tails, hashes
}

func openTouching(t *testing.T, channels int) (*fakeserver.Server, *session.Session) {
	t.Helper()
	server, err := fakeserver.New(channels, ringBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s, err := session.Open(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	return server, s
}

func TestATouchIsWrittenIntoABuffer(t *testing.T) {
	server, s := openTouching(t, 4)
	defer s.Close(session.ErrClosed)
	for i := range uint64(3 * fakeserver.TouchEntries) {
		s.Touches().Note(&index.Meta{Hash: i + 1})
	}
	tails, hashes := touched(server)
	if tails != 3*fakeserver.TouchEntries {
		t.Fatalf("the tails add up to %d, want %d", tails, 3*fakeserver.TouchEntries)
	}
	newest := false
	for _, hash := range hashes {
		newest = newest || hash == 3*fakeserver.TouchEntries
		if hash > 3*fakeserver.TouchEntries {
			t.Fatalf("hash %d was never touched", hash)
		}
	}
	if !newest {
		t.Fatalf("the last touch is not among %d", hashes)
	}
}

func TestTouchesGoRoundTheBuffer(t *testing.T) {
	server, s := openTouching(t, 1)
	defer s.Close(session.ErrClosed)
	for i := range uint64(fakeserver.TouchEntries + 5) {
		s.Touches().Note(&index.Meta{Hash: i + 1})
	}
	for i := range uint64(fakeserver.TouchEntries) {
		want := i + 1
		if i < 5 {
			want += fakeserver.TouchEntries
		}
		if got := server.Region.Word(server.Channels[0].Touches + 8*i).Load(); got != want {
			t.Errorf("entry %d holds touch %d, want %d", i, got, want)
		}
	}
}

func TestTouchesSpreadOverTheChannels(t *testing.T) {
	server, s := openTouching(t, 4)
	defer s.Close(session.ErrClosed)
	var ready, touched, done sync.WaitGroup
	start := make(chan struct{})
	for range 64 { // all alive when each touches, so on different stacks
		ready.Add(1)
		touched.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-start
			meta := index.Meta{Hash: 1}
			s.Touches().Note(&meta)
			touched.Done()
			touched.Wait()
		}()
	}
	ready.Wait()
	close(start)
	done.Wait()
	for i, ch := range server.Channels {
		if server.Region.Word(ch.Control+layout.ChannelControlTouchTail).Load() == 0 {
			t.Errorf("channel %d got none of 64 touches", i)
		}
	}
}

func TestNoTouchesWithoutABuffer(t *testing.T) {
	server, err := fakeserver.New(2, ringBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.Region.Word32(layout.SessionHeaderOffset + layout.SessionHeaderTouchEntries).Store(0)
	s, err := session.Open(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(session.ErrClosed)
	s.Touches().Note(&index.Meta{Hash: 1})
	if tails, hashes := touched(server); tails != 0 || len(hashes) != 0 {
		t.Fatalf("tails %d, hashes %d", tails, hashes)
	}
}

func TestTouchesDoNotAllocate(t *testing.T) {
	_, s := openTouching(t, 4)
	defer s.Close(session.ErrClosed)
	hash := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		hash++
		meta := index.Meta{Hash: hash}
		s.Touches().Note(&meta)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// mapped is how often this process has a memory file mapped.
func mapped(t *testing.T, name string) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), name)
}

// A reader may be about to write its touch when the session closes, however long ago that was.
func TestTouchesMayComeAfterClose(t *testing.T) {
	for range 5 {
		_, s := openTouching(t, 2)
		touches := s.Touches()
		var started, done sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			started.Add(1)
			done.Add(1)
			go func() {
				defer done.Done()
				for i := uint64(0); ; i++ {
					meta := index.Meta{Hash: i}
					touches.Note(&meta)
					if i == 1000 {
						started.Done()
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			}()
		}
		started.Wait()
		s.Close(session.ErrClosed)
		s = nil
		runtime.GC()
		runtime.GC()
		for i := range uint64(10000) {
			touches.Note(&index.Meta{Hash: i})
		}
		close(stop)
		done.Wait()
		runtime.KeepAlive(touches)
	}
}

func TestTheRegionIsUnmappedWhenNobodyCanTouchIt(t *testing.T) {
	const name = "fake-session"
	server, s := openTouching(t, 2)
	touches := s.Touches()
	s.Close(session.ErrClosed)
	s = nil
	server.Close()
	runtime.GC()
	touches.Note(&index.Meta{Hash: 1})
	before := mapped(t, name)
	runtime.KeepAlive(touches)
	touches = nil
	for i := 0; mapped(t, name) >= before; i++ {
		if i == 1000 {
			t.Fatalf("%d regions stay mapped", before)
		}
		runtime.GC()
		runtime.Gosched()
	}
}

// BenchmarkTouch reads random keys out of a million, with and without recording the reads.
func BenchmarkTouch(b *testing.B) {
	server, err := fakeserver.New(4, ringBytes)
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	s, err := session.Open(server.Config())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(session.ErrClosed)
	touches := s.Touches()
	const million = 1 << 20
	w, _ := storetest.NewInMemory(storetest.Options{DirectoryBits: 9, SegmentShift: 21, Segments: 80})
	keys := make([]string, million)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%011d", i)
		w.Set(storetest.Entry{Key: keys[i], Value: make([]byte, 64)})
	}
	order := rand.New(rand.NewPCG(5, 6)).Perm(million)
	ns := w.Namespace(0)
	buffer := make([]byte, 0, 64)
	for _, touching := range []bool{false, true} {
		b.Run(fmt.Sprint("touching=", touching), func(b *testing.B) {
			i := 0
			for b.Loop() {
				var meta index.Meta
				if _, result := w.Store.Read(buffer, ns, keys[order[i&(million-1)]], &meta); result != index.Hit {
					b.Fatal("miss")
				}
				if touching && meta.Wanting() {
					touches.Note(&meta)
				}
				i++
			}
		})
	}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			touches.Note(&index.Meta{Hash: 1})
		}
	})
}
