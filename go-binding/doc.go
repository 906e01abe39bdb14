// Package hearth is the client of hearthd, the cache and module daemon of a host. It reads the cache
// in place, in shared memory, and sends everything else through rings in shared memory. Pure Go,
// standard library only.
//
//	client, err := hearth.Dial(ctx)
//	users, err := client.Namespace("users")
//
//	err = users.Set(ctx, "42", profile, hearth.TTL(5*time.Minute))
//	buffer, meta, err := users.GetAppend(buffer[:0], "42")
//	if err == hearth.ErrNotFound { ... }
//	count, _, err := users.Increment(ctx, "logins", 1, hearth.Initial(0))
//	buffer, _, err = users.GetOrLoad(ctx, buffer[:0], "42", loadUser, hearth.TTL(time.Hour))
//
//	answer, err := client.Call(ctx, "hearth.echo", nil, request)
//
// # Reading
//
// [Namespace.GetAppend] copies the value out of a read-only mapping on the calling goroutine. It
// waits for nobody: no system call, no lock, whether hearthd is idle, busy, being restarted or dead.
// There are two exceptions. A key that is overwritten faster than it can be copied, eight times in a row:
// then hearthd is asked. And a key of which this client has queued a change that was not applied yet.
// What it returns is the caller's own.
//
// # Loading
//
// [Namespace.GetOrLoad] reads, and gets what is not there from a function of the caller. Of all
// processes of the host one loads, the others wait, and a value that is stale is served while one
// refreshes it. The right to load is a lease, which hearthd keeps: it ends with the process that has it,
// or with its context, and any change of the key voids it, so that a value which was read from its
// source before a Delete is not stored after it. [NegativeTTL] remembers what does not exist, [Jitter]
// keeps entries from expiring together, [RefreshBy] refreshes in the background.
//
// [Typed] does the same for Go values, with a codec: JSON, gob, strings, bytes, Cap'n Proto messages, or
// one of your own.
//
// [Namespace.View] gives large values without a copy, in about 100 ns whatever their size: the bytes in
// shared memory themselves, which a pin keeps from being reused. hearthd does not wait for pins without
// end, so [View.Release] says whether the bytes were right all along; only then does what was read
// from them count. hearthtest fails tests that do not release their views.
//
// [Namespace.Scan] goes through all keys with a prefix, from the mapping as well: hearthd notices
// nothing. Its cursors let another process go on.
//
// # What a caller can rely on
//
// Each key is linearizable, over all processes of the host: when a Set, Delete, Touch or one of the
// operations below has returned without error, every read that begins afterwards sees it or something
// later, and no read ever sees a mixture of two values. There is no order between different keys, and
// GetMulti is no snapshot. What GetOrLoad returns after it has loaded was read from its source after the
// call began, or after another call began that this one has waited for and that nothing has voided.
//
// Add, Replace, CompareAndSwap, Increment, Decrement and Append look at the entry and write in one
// step: of any number of processes that change one key with them no change is lost.
//
// Asynchronous writes ([Namespace.SetAsync], [Namespace.DeleteAsync]) of one client to one key are
// applied in the order of the calls. They are visible to all when [Client.Flush] has returned. The client
// that has queued them reads its own writes at once, by every read: it waits for the answer, which is
// a round trip if it is not there already. If hearthd does not answer within a second, or has died, the key is a
// miss for this client, and stays one until it dials anew: what the store has there may be older than
// the write that was lost. Reads cost nothing more for this while nothing is queued. A write that failed
// for another reason, which Flush tells, has changed nothing.
//
// A namespace that is configured as strict adds that nobody reads from it while hearthd is not alive: two
// seconds after its last sign of life every read misses. Other processes than the one that has queued a
// delete would otherwise go on reading what was to be deleted until hearthd is back.
//
// [Namespace.Flush] removes everything that was written before, in one step. Namespaces are made and
// dropped while hearthd runs ([Client.CreateNamespace], [Client.DropNamespace]); a Namespace of one
// that was dropped misses every read and fails every write with ErrUnknownNamespace, also when there
// is another one of the same name.
//
// Entries expire by the host's monotonic clock, which no clock step moves, whether hearthd runs or
// not. (A process in a Linux time namespace of its own has another such clock: its deadlines and
// expiries are off by the difference.)
//
// # Memory
//
// These allocate nothing: GetAppend, GetMulti and GetOrLoad of a fresh value if dst has room, View and
// Release, Get of a missing key, Set, SetAsync,
// Delete, DeleteAsync, Touch, Add, Replace, CompareAndSwap, Increment, Decrement and Append, with
// options and with a traced context, Call if dst has room for
// the answer, Namespace of a name used before. No method keeps a key, value, request or dst after it
// returned, except that SetAsync and DeleteAsync keep the key (a string) until it was applied. Failures allocate
// their [*Error], except for ErrNotFound, ErrExists and ErrVersionMismatch, which come without one.
//
// # Waiting
//
// A caller that waits for an answer spins for at most 50 microseconds, and only while recent calls
// were answered in that time; then it sleeps. Sleeping callers cost one idle goroutine per channel
// and no thread. With GOMAXPROCS=1 nobody spins.
//
// # Errors
//
//	errors.Is                  code                  what to do
//	ErrNotFound                -                     load it from where it comes from
//	ErrExists                  -                     an Add came second: the key is there
//	ErrRevoked                 -                     of View.Release: forget what was read, read again
//	ErrLoadPanic               INTERNAL              another goroutine's loader has panicked
//	ErrCodec                   INVALID_ARGUMENT      the codec of a Typed, or what is stored
//	ErrVersionMismatch         -                     read again, and repeat the CompareAndSwap
//	ErrNotCounter              FAILED_PRECONDITION   Set a decimal number first
//	ErrCounterRange            OUT_OF_RANGE          the counter stays at what it is
//	ErrNotRunning              UNAVAILABLE           go on without the cache; dial again later
//	ErrClosed                  UNAVAILABLE           the program closed the Client
//	ErrStoreFull               RESOURCE_EXHAUSTED    wait Error.RetryAfter if positive
//	ErrOverloaded              RESOURCE_EXHAUSTED    a Call or Dial: send less at once, or later
//	ErrPermission              PERMISSION_DENIED     the policy in hearthd's configuration
//	ErrInvalidKey              INVALID_ARGUMENT      1 to 1024 bytes
//	ErrInvalidTTL              INVALID_ARGUMENT      positive, soft not above hard
//	ErrInvalidCursor           INVALID_ARGUMENT      begin the scan again (FAILED_PRECONDITION: of another store)
//	ErrValueTooLarge           INVALID_ARGUMENT      Namespace.MaxValueBytes, Info.MaxMessageBytes
//	ErrUnknownNamespace        NOT_FOUND             hearthd's configuration, CreateNamespace; or it was dropped
//	ErrUnknownStore            NOT_FOUND             hearthd's configuration
//	ErrUnknownMethod           NOT_FOUND             a module that is not loaded
//	ErrIncompatible            FAILED_PRECONDITION   update the older side; *IncompatibleError names both
//	ErrNotHearth               FAILED_PRECONDITION   the socket's path
//	ErrSocketPath              INVALID_ARGUMENT      at most 107 bytes
//	context.DeadlineExceeded   DEADLINE_EXCEEDED     -
//	context.Canceled           CANCELLED             -
//
// Dial, Namespace and the first Call of a method give up after 5 seconds, with ErrNotRunning, when their
// context has no deadline ([WithControlTimeout]). Every other operation waits as long as its context
// lets it.
//
// [Error.Execution] says whether a failed operation may have had its effect. NotStarted is only
// claimed when it is certain: the request was never completely sent, or hearthd said so. A request
// that was in flight when its context or the session ended is Maybe. Then Set, Delete, Touch, Add,
// Replace and CompareAndSwap may be repeated; Increment, Decrement and Append could take effect twice.
//
// # When hearthd restarts or dies
//
// Operations in flight fail with ErrNotRunning, and so does everything after them, except for reads:
// they go on from the mapping, with what was in the cache, and GetOrLoad loads what is not there. A Client does not reconnect; dial a new
// one, and take its namespaces.
//
// # Goroutines, processes, descriptors
//
// Everything is safe for concurrent use. A Client has one goroutine per channel and two more, all
// asleep while nothing happens. Every descriptor is close-on-exec, so a child started with os/exec
// inherits none; a process that forks without exec must not use the client in the child. A mapping
// of the store is shared by all clients of a process and stays until the garbage collector finds the
// last of them unreachable, so that Close need not wait for readers; the memory of a store that
// hearthd has given up is kept that long.
//
// Whoever may read a store can read all of it, and access cannot be taken back from a process that
// has it mapped. Use separate stores for separate trust domains.
package hearth
