package hearth

import (
	"bytes"
	"sync"
)

// flight is one load of a key in this process. Its fields belong to who flies it until it has landed,
// then they are read by everybody.
type flight struct {
	done   chan struct{} // closed when it has landed
	shared bool          // somebody waits; under the lock until the flight has been left
	left   bool          // nobody joins any more; under the lock

	token    uint64 // of the lease; 0 without one
	outcome  outcome
	value    []byte
	metadata Metadata
	err      error
	again    bool // who waits must look for himself
}

type outcome uint8

const (
	outcomeNone   outcome = iota
	outcomeLoaded         // value and metadata
	outcomeAbsent         // ErrNotFound, and metadata
	outcomeFailed         // err
)

func (f *flight) deliver(dst []byte) ([]byte, Metadata, error) {
	if f.err != nil {
		return dst, f.metadata, f.err
	}
	return append(dst, f.value...), f.metadata, nil
}

// flights are the loads of a namespace that are under way.
type flights struct {
	mu     sync.Mutex
	flying map[string]*flight
}

// join returns the flight of a key, and whether the caller must fly it.
func (fs *flights) join(key string) (f *flight, mine bool) { return fs.take(key, true) }

// tryJoin does not count the caller as one who waits.
func (fs *flights) tryJoin(key string) (f *flight, mine bool) { return fs.take(key, false) }

func (fs *flights) take(key string, wait bool) (*flight, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.flying[key]; f != nil {
		f.shared = f.shared || wait
		return f, false
	}
	if fs.flying == nil {
		fs.flying = map[string]*flight{}
	}
	f := &flight{done: make(chan struct{})}
	fs.flying[key] = f
	return f, true
}

// leave lets nobody join any more.
func (fs *flights) leave(key string, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !f.left {
		f.left = true
		delete(fs.flying, key)
	}
}

// land ends a flight, and wakes who waits for it.
func (fs *flights) land(key string, f *flight) {
	fs.leave(key, f)
	if f.shared && f.outcome == outcomeLoaded {
		f.value = bytes.Clone(f.value) // the loader may use its own again
	}
	close(f.done)
}
