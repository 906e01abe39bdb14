package wait

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Doorbell wakes the server.
type Doorbell struct {
	Asleep *atomic.Uint64 // server_asleep of the channel
	FD     int            // eventfd
}

// Ring wakes the server if it sleeps, and says whether it did. The request has been published.
func (d *Doorbell) Ring() bool {
	// SYNC both server-asleep: read after the tail was stored (ring.Producer.Publish). Either this
	// sees the flag, or the server's second look sees the tail.
	if d.Asleep.Load() == 0 {
		return false
	}
	shm.Ring(d.FD)
	return true
}

// Flag is the client_asleep word of a channel. Only this process writes it; its bits have separate
// owners, hence the read-modify-writes.
type Flag struct{ Word *atomic.Uint64 }

// Set says that somebody is going to sleep. The caller looks once more at what it waits for
// afterwards, and only then sleeps.
func (f *Flag) Set(bit uint64) {
	// SYNC both client-asleep: stored before the ring is looked at once more; the server publishes
	// before it reads the flag.
	f.Word.Or(bit)
}

// Clear says that nobody sleeps any more.
func (f *Flag) Clear(bit uint64) { f.Word.And(^bit) }

// Pump is the goroutine that answers the client's doorbell.
type Pump struct {
	file *os.File
	done chan struct{}
}

// StartPump takes ownership of the pipe's read end. wake is called on the pump's goroutine after
// each ring, and once at the start, and must not block for long.
func StartPump(fd int, wake func()) (*Pump, error) {
	// os.NewFile registers a descriptor with the netpoller only if it is non-blocking already. Nobody
	// may call Fd() on the file, which would turn it into a blocking one.
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("client doorbell: %w", err)
	}
	file := os.NewFile(uintptr(fd), "hearth-doorbell")
	connection, err := file.SyscallConn()
	if err == nil {
		// Fails if the netpoller does not take the descriptor, and waiting would then busy-loop.
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("client doorbell: %w", err)
	}
	p := &Pump{file: file, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		// RawConn forgets, when it starts, what the netpoller announced before, and then calls back
		// once before it waits. That first call looks at the ring without reading the pipe, so no
		// ring is lost, and later ones read only what was announced, so that this cannot block even
		// if somebody made the descriptor blocking.
		announced := false
		var buffer [4096]byte
		// Returns when the file is closed.
		_ = connection.Read(func(fd uintptr) bool {
			for announced {
				if n, _ := syscall.Read(int(fd), buffer[:]); n < len(buffer) {
					break
				}
			}
			announced = true
			wake()
			return false
		})
	}()
	return p, nil
}

// Close ends the goroutine, waits for it, and closes the descriptor.
func (p *Pump) Close() {
	_ = p.file.Close()
	<-p.done
}
