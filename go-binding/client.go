package hearth

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearthd/hearth/go-binding/internal/control"
	"github.com/hearthd/hearth/go-binding/internal/index"
	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/ring"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

// Client is a session with hearthd. It is safe for concurrent use, and one per process is enough:
// it spreads its requests over several channels. Close it when done.
type Client struct {
	control *control.Conn
	session *session.Session
	store   *index.Store
	info    Info
	closed  atomic.Bool
	// background is what must have ended when Close returns.
	background sync.WaitGroup
	// tasks makes sure that nothing is added to it once the client is closed.
	tasks sync.Mutex
	// lifetime ends with Close.
	lifetime     context.Context
	lifetimeOver context.CancelFunc

	// Names that were looked up before: replaced as a whole, read without a lock.
	names      sync.Mutex // serializes changes
	namespaces atomic.Pointer[map[string]*Namespace]
	methods    atomic.Pointer[map[string]uint32]

	affinity affinity
}

// Info is what hearthd said about itself and the session.
type Info struct {
	// SessionID identifies the session in hearthd's logs and in `hearth status`.
	SessionID uint64
	// Epoch counts the lives of hearthd that have owned the store, from 1.
	Epoch         uint64
	ServerVersion string
	ServerPID     uint32
	Store         string
	StoreUUID     [16]byte
	Channels      int
	// MaxMessageBytes bounds requests and responses of Call, in bytes.
	MaxMessageBytes uint64
	// SharedUID says that this process has hearthd's own uid, so that the kernel does not keep it
	// from writing to the store.
	SharedUID bool
}

func newClient(connection *control.Conn, opened *session.Session, store *index.Store, w *control.Welcome) *Client {
	c := &Client{
		control: connection,
		session: opened,
		store:   store,
		info: Info{
			SessionID: w.SessionID, Epoch: w.Epoch, ServerVersion: w.ServerVersion, ServerPID: w.ServerPID,
			Store: w.Store, StoreUUID: store.UUID(), Channels: opened.Channels(),
			MaxMessageBytes: w.MaxMessageBytes, SharedUID: w.SharedUID,
		},
	}
	c.lifetime, c.lifetimeOver = context.WithCancel(context.Background())
	c.namespaces.Store(&map[string]*Namespace{})
	c.methods.Store(&map[string]uint32{})
	c.affinity.init(opened.Channels())
	return c
}

// Info describes the session.
func (c *Client) Info() Info { return c.info }

// Close ends the session: operations that wait fail with ErrClosed, and so does every later one.
// It returns when no goroutine or descriptor of the client is left. The store, and the session's own
// memory, stay mapped until the garbage collector finds that nobody reads. Closing twice is allowed; the error is always
// nil and exists for io.Closer.
func (c *Client) Close() error {
	c.tasks.Lock()
	if !c.closed.Swap(true) {
		c.session.Pending().Shut() // readers look at nothing else
	}
	c.tasks.Unlock()
	c.lifetimeOver()
	c.session.Close(ErrClosed)
	c.control.Close()
	c.background.Wait()
	return nil
}

// Namespace returns a namespace by name. The first call for a name asks hearthd and waits for it, for
// at most 5 seconds ([WithControlTimeout]); use [Client.NamespaceContext] for another bound.
//
// Errors: ErrUnknownNamespace, ErrPermission, ErrNotRunning, ErrClosed.
func (c *Client) Namespace(name string) (*Namespace, error) {
	return c.NamespaceContext(context.Background(), name)
}

// NamespaceContext is Namespace with a context, whose deadline, if it has one, takes the place of the 5
// seconds.
func (c *Client) NamespaceContext(ctx context.Context, name string) (*Namespace, error) {
	if n := (*c.namespaces.Load())[name]; n != nil && c.store.Live(&n.view) {
		return n, nil
	}
	answer, err := c.control.OpenNamespace(ctx, name)
	if err != nil {
		return nil, c.nameError(ctx, "open namespace", name, ErrUnknownNamespace, err)
	}
	view, err := c.store.Namespace(answer.ID)
	if err != nil {
		return nil, c.nameError(ctx, "open namespace", name, ErrUnknownNamespace, err)
	}
	c.names.Lock()
	defer c.names.Unlock()
	known := maps.Clone(*c.namespaces.Load())
	if n := known[name]; n != nil && n.view.Handle == view.Handle {
		return n, nil
	}
	n := &Namespace{client: c, store: c.store, name: name, view: view, writable: answer.Writable,
		touches: c.session.Touches(), pending: c.session.Pending(), maxValueBytes: answer.MaxValueBytes}
	known[name] = n
	c.namespaces.Store(&known)
	return n, nil
}

// spawn runs a task that Close waits for, with a context that Close ends and that has the values of
// ctx; false when the client is closed.
func (c *Client) spawn(ctx context.Context, timeout time.Duration, task func(context.Context)) bool {
	c.tasks.Lock()
	defer c.tasks.Unlock()
	if c.closed.Load() {
		return false
	}
	c.background.Add(1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	stop := context.AfterFunc(c.lifetime, cancel)
	go func() {
		defer c.background.Done()
		defer stop()
		defer cancel()
		task(ctx)
	}()
	return true
}

// method returns the id of a method.
func (c *Client) method(ctx context.Context, name string) (uint32, error) {
	if id, ok := (*c.methods.Load())[name]; ok {
		return id, nil
	}
	answer, err := c.control.OpenMethod(ctx, name)
	if err != nil {
		return 0, c.nameError(ctx, "open method", name, ErrUnknownMethod, err)
	}
	c.names.Lock()
	defer c.names.Unlock()
	known := maps.Clone(*c.methods.Load())
	known[name] = answer.ID
	c.methods.Store(&known)
	return answer.ID, nil
}

func (c *Client) nameError(ctx context.Context, op, name string, unknown, err error) error {
	e := &Error{Op: op, Name: name, Message: err.Error(), TraceID: traceOf(ctx).TraceID, Code: CodeUnavailable, cause: err}
	var stated *control.Error
	switch {
	case c.closed.Load():
		e.sentinel, e.cause, e.Message = ErrClosed, nil, ErrClosed.Error()
	case errors.Is(err, control.ErrEnded), errors.Is(err, control.ErrNoAnswer):
		e.sentinel = ErrNotRunning
	case errors.As(err, &stated):
		e.Code, e.cause = Code(stated.Code), nil
		switch e.Code {
		case CodeNotFound:
			e.sentinel = unknown
		case CodePermissionDenied:
			e.sentinel = ErrPermission
		}
	case ctx.Err() != nil:
		e.Code = contextCode(err)
	default:
		e.Code = CodeInternal
	}
	return e
}

// Call runs a method and appends its response to dst, which must not be used until Call returns.
// It allocates nothing if the response fits into dst. The room in dst is also a hint: a response
// that is longer than what is reserved for it travels in parts, which takes longer.
//
// ctx's deadline travels with the request, and hearthd drops what it could not start in time. When
// ctx ends while the request is in flight, Call returns at once and hearthd is told. Without a deadline
// it waits as long as the method takes; only the first Call of a method, which asks hearthd for its
// name, waits for that answer for at most 5 seconds ([WithControlTimeout]).
//
// Errors: ErrUnknownMethod, ErrPermission, ErrValueTooLarge, ErrOverloaded, ErrNotRunning, ErrClosed,
// ctx's, and those of the method, all as *Error.
func (c *Client) Call(ctx context.Context, method string, dst, request []byte) ([]byte, error) {
	id, err := c.method(ctx, method)
	if err != nil {
		return dst, err
	}
	const usualAnswer = 1024 - layout.RecordHeaderBytes
	r := session.Request{
		Op:     layout.OpCall,
		Target: id,
		Value:  request,
		Space:  uint64(max(usualAnswer, cap(dst)-len(dst))),
	}
	if uint64(len(request)) > c.info.MaxMessageBytes {
		return dst, tooLarge(ctx, "call", method, uint64(len(request)), c.info.MaxMessageBytes)
	}
	trace := stamp(ctx, &r)
	var result session.Result
	c.session.Channel(c.affinity.pick()).Do(ctx, &r, dst, &result)
	if result.Failure != nil || result.Status != 0 {
		return result.Value, operationError("call", method, trace.TraceID, &result)
	}
	return result.Value, nil
}

// stamp adds what ctx says to a request.
func stamp(ctx context.Context, r *session.Request) TraceContext {
	r.Deadline, r.HasDeadline = ctx.Deadline()
	trace := traceOf(ctx)
	r.TraceID, r.SpanID, r.TraceFlags = trace.TraceID, trace.SpanID, trace.Flags
	return trace
}

// affinity spreads calls over channels so that a processor keeps using the same one while it can: a
// sync.Pool hands out per-processor items without contention.
type affinity struct {
	pool sync.Pool
	next atomic.Uint64
}

func (a *affinity) init(channels int) {
	indexes := make([]uint64, channels)
	for i := range indexes {
		indexes[i] = uint64(i)
	}
	a.pool.New = func() any { return &indexes[a.next.Add(1)%uint64(len(indexes))] }
}

// pick returns the index of the channel to use.
func (a *affinity) pick() uint64 {
	item := a.pool.Get().(*uint64)
	a.pool.Put(item)
	return *item
}

// operationError turns what became of a request into an error of the API.
func operationError(op, name string, traceID [16]byte, result *session.Result) error {
	// A copy of the name: were the caller's own kept, keys converted from bytes would always be
	// allocated.
	e := &Error{Op: op, Name: strings.Clone(name), Code: Code(result.Status), Message: result.Message, TraceID: traceID,
		Execution: Execution(result.Execution), RetryAfter: time.Duration(result.RetryAfterMs) * time.Millisecond}
	if result.Failure != nil {
		return e.failed(result.Failure)
	}
	switch e.Code {
	case CodeNotFound:
		e.sentinel = ErrNotFound
		if e.Execution == NotStarted {
			e.sentinel = ErrUnknownNamespace
		}
		if op == "call" {
			e.sentinel = nil // the method's own answer
			if e.Execution == NotStarted {
				e.sentinel = ErrUnknownMethod
			}
		}
	case CodeInvalidArgument:
		if op == "append" { // all else was checked before it was sent
			e.sentinel = ErrValueTooLarge
		}
	case CodeFailedPrecondition:
		if op == "increment" || op == "decrement" {
			e.sentinel = ErrNotCounter
		}
	case CodeOutOfRange:
		if op == "increment" || op == "decrement" {
			e.sentinel = ErrCounterRange
		}
	case CodePermissionDenied:
		e.sentinel = ErrPermission
	case CodeResourceExhausted:
		e.sentinel = ErrStoreFull
		if op == "call" {
			e.sentinel = ErrOverloaded
		}
	case CodeUnavailable:
		e.sentinel = ErrNotRunning
	case CodeDeadlineExceeded:
		e.cause = context.DeadlineExceeded
	case CodeCancelled:
		e.cause = context.Canceled
	}
	return e
}

// failed is for requests that were not answered.
func (e *Error) failed(failure error) error {
	e.Code, e.Message, e.cause = CodeUnavailable, failure.Error(), failure
	switch {
	case errors.Is(failure, context.DeadlineExceeded), errors.Is(failure, context.Canceled):
		e.Code = contextCode(failure)
	case errors.Is(failure, ErrClosed):
	case errors.Is(failure, control.ErrEnded), errors.Is(failure, ring.ErrBroken):
		e.sentinel = ErrNotRunning
	default:
		e.Code = CodeInternal
	}
	return e
}

// stated says whether the error is an answer of hearthd's.
func stated(err error) bool {
	var answer *control.Error
	return errors.As(err, &answer)
}

func contextCode(err error) Code {
	if errors.Is(err, context.DeadlineExceeded) {
		return CodeDeadlineExceeded
	}
	return CodeCancelled
}
