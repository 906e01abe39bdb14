// Package session is the client's half of a session region: it puts requests into the rings, matches
// answers with callers, and keeps the accounts (credit, call ids, who waits).
//
// # Locks
//
// A channel has two sides and a mutex for each. The send lock guards the request ring, the free
// calls and the callers that wait for room. The reap lock guards the response ring and the callers
// that sleep. Whoever holds the reap lock may take the send lock, never the other way around. Both
// are held for a copy of a record at most.
//
// # Reaping
//
// Any goroutine inside the package takes answers out of the ring for all callers: a spinner under
// TryLock, the pump after a ring, a caller about to sleep. So an answer waits for no particular
// goroutine to be scheduled.
//
// # Sleeping
//
// client_asleep bit 0 is set while a caller sleeps and nobody spins. A spinner promises to reap until
// it leaves, and the last one to leave sets the bit if callers sleep (settle). As long as no caller
// sleeps the bit stays 0 and nobody touches its cache line.
package session
