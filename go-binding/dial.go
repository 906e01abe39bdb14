package hearth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"syscall"
	"weak"

	"github.com/hearthd/hearth/go-binding/internal/control"
	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
	"github.com/hearthd/hearth/go-binding/internal/shm"
)

// Dial connects to hearthd, maps the store and opens a session. ctx bounds the handshake only; without
// a deadline it takes at most 5 seconds ([WithControlTimeout]).
//
// Errors: ErrNotRunning, ErrPermission, ErrSocketPath, ErrNotHearth, ErrIncompatible (with
// *IncompatibleError), ErrUnknownStore, ErrOverloaded (too many sessions, too much memory), or ctx's.
func Dial(ctx context.Context, options ...Option) (*Client, error) {
	c := newConfig(options)
	client, err := dial(ctx, c)
	if err != nil {
		return nil, dialError(c.socket, err)
	}
	return client, nil
}

func dial(ctx context.Context, c config) (*Client, error) {
	channels := c.channels
	if channels == 0 {
		channels = min(runtime.GOMAXPROCS(0), 4)
	}
	if channels < 1 || channels > layout.MaxChannels || c.requestBytes < 0 || c.responseBytes < 0 ||
		c.requestBytes > layout.MaxRingBytes || c.responseBytes > layout.MaxRingBytes {
		return nil, &control.Error{Code: uint16(CodeInvalidArgument), Message: fmt.Sprintf(
			"%d channels with rings of %d and %d bytes", channels, c.requestBytes, c.responseBytes)}
	}
	connection, welcome, err := control.Dial(ctx, c.socket, control.Options{
		Name: c.name, Version: Version, Store: c.store, Channels: uint16(channels),
		RequestRingBytes: uint32(c.requestBytes), ResponseBytes: uint32(c.responseBytes),
		Timeout: c.controlTimeout,
	})
	if err != nil {
		return nil, err
	}
	// The mappings stay when their descriptors are closed.
	defer shm.CloseAll([]int{welcome.Region, welcome.StoreFD})
	store, err := attachStore(welcome.StoreFD)
	if err != nil {
		shm.CloseAll(append(welcome.ClientDoorbells, welcome.Doorbell))
		connection.Close()
		return nil, mismatch("storeLayout", err)
	}
	region, err := shm.Map(welcome.Region, true)
	if err != nil {
		shm.CloseAll(append(welcome.ClientDoorbells, welcome.Doorbell))
		connection.Close()
		return nil, err
	}
	opened, err := session.Open(session.Config{
		Region:          region,
		ServerDoorbell:  welcome.Doorbell,
		ClientDoorbells: welcome.ClientDoorbells,
		MaxMessageBytes: welcome.MaxMessageBytes,
	})
	if err != nil {
		connection.Close()
		return nil, mismatch("sessionLayout", err)
	}
	if c.viewTrace {
		opened.Pins().Trace()
	}
	client := newClient(connection, opened, store, welcome)
	client.background.Add(1)
	go func() {
		defer client.background.Done()
		<-connection.Ended()
		opened.Fail(connection.Cause())
	}()
	if c.populateBytes > 0 {
		client.background.Add(1)
		go func() {
			defer client.background.Done()
			store.Populate(c.populateBytes, func() bool { return !client.closed.Load() })
		}()
	}
	return client, nil
}

// mappings are the stores this process has mapped, so that many clients of one store share one
// mapping. A mapping is removed when the last client that uses it is unreachable: only the garbage
// collector can know that no goroutine is inside a read, and asking it costs a read nothing.
var mappings struct {
	sync.Mutex
	stores map[fileID]weak.Pointer[index.Store]
}

type fileID struct{ device, inode uint64 }

func attachStore(fd int) (*index.Store, error) {
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return nil, err
	}
	id := fileID{uint64(stat.Dev), stat.Ino} // Dev's type differs between architectures
	mappings.Lock()
	defer mappings.Unlock()
	if store := mappings.stores[id].Value(); store != nil {
		return store, nil
	}
	region, err := shm.Map(fd, false)
	if err != nil {
		return nil, err
	}
	store, err := index.Attach(region)
	if err != nil {
		_ = region.Unmap()
		return nil, err
	}
	if mappings.stores == nil {
		mappings.stores = map[fileID]weak.Pointer[index.Store]{}
	}
	mappings.stores[id] = weak.Make(store)
	runtime.AddCleanup(store, func(region *shm.Region) {
		_ = region.Unmap()
		mappings.Lock()
		defer mappings.Unlock()
		if mappings.stores[id].Value() == nil {
			delete(mappings.stores, id)
		}
	}, region)
	return store, nil
}

func mismatch(subject string, err error) error {
	var layouts *index.MismatchError
	if errors.As(err, &layouts) {
		return &IncompatibleError{Subject: subject, Client: layouts.Ours, Server: layouts.Theirs}
	}
	return err
}

// dialError gives an error of the handshake its place in the API.
func dialError(socket string, err error) error {
	e := &Error{Op: "dial", Name: socket, Code: CodeUnavailable, Message: err.Error(), cause: err}
	var stated *control.Error
	var incompatible *IncompatibleError
	switch {
	case errors.As(err, &incompatible):
		e.Code = CodeFailedPrecondition
	case errors.As(err, &stated) && stated.Subject != "":
		e.Code, e.cause = CodeFailedPrecondition, &IncompatibleError{stated.Subject, stated.Client, stated.Server}
		e.Message = e.cause.Error()
	case stated != nil:
		e.Code, e.cause = Code(stated.Code), nil
		switch e.Code {
		case CodeNotFound:
			e.sentinel = ErrUnknownStore
		case CodePermissionDenied:
			e.sentinel = ErrPermission
		case CodeResourceExhausted:
			e.sentinel = ErrOverloaded
		case CodeUnavailable:
			e.sentinel = ErrNotRunning
		}
	case errors.Is(err, shm.ErrDescriptorsLost), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.ENOMEM):
		e.Code = CodeResourceExhausted
		if !errors.Is(err, shm.ErrDescriptorsLost) && !errors.Is(err, syscall.ENOMEM) {
			e.Message += "; this process or machine has no descriptors left (see ulimit -n)"
		}
	case errors.Is(err, control.ErrSocketPath):
		e.Code, e.sentinel = CodeInvalidArgument, ErrSocketPath
	case errors.Is(err, control.ErrNotHearth), errors.Is(err, shm.ErrNotSealed), errors.Is(err, index.ErrCorrupt):
		e.Code, e.sentinel = CodeFailedPrecondition, ErrNotHearth
	case errors.Is(err, context.DeadlineExceeded):
		e.Code = CodeDeadlineExceeded
	case errors.Is(err, context.Canceled):
		e.Code = CodeCancelled
	case errors.Is(err, fs.ErrPermission):
		e.Code, e.sentinel = CodePermissionDenied, ErrPermission
	case errors.Is(err, control.ErrNotRunning):
		e.sentinel = ErrNotRunning
		e.Message += "; start it with `systemctl start hearthd`, or `hearthd` for this user alone, " +
			"or say with WithSocket or $HEARTH_SOCKET where it listens"
	default: // control.ErrNoAnswer among them
		e.sentinel = ErrNotRunning
	}
	return e
}
