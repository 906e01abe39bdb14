// Package ring speaks the byte rings of a session region: records of a 64-byte header and a
// payload, one producer, one consumer. ipc/PROTOCOL.md section 4 is the contract.
//
// A ring is a transfer of ownership. Bytes in [tail, head+size) belong to the producer until it
// stores the new tail, bytes in [head, tail) to the consumer until it stores the new head. Each side
// keeps a private copy of its own position, which is the truth, and of the other's, which it reloads
// only when the copy leaves it without space or work.
//
// What the other side wrote is copied before it is checked and checked before it is used. A position
// or record that cannot be gives ErrBroken, never a panic and never an access outside the ring.
//
// A Producer and a Consumer are not safe for concurrent use: a channel guards each with a mutex.
package ring
