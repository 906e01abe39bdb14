// Package shm maps the memory that hearthd shares with its clients and turns it into typed words.
//
// It is the only package of the client that imports unsafe. Everything above it works with offsets
// that are checked here, with [sync/atomic] words, and with copies.
//
// # Why each use of unsafe is sound
//
//   - A [Region] is memory of mmap, not of the Go heap: the garbage collector neither scans nor
//     moves it, and a pointer into it is only arithmetic as far as the runtime is concerned.
//   - It is viewed as slices of bytes, of 64-bit words and of cache lines, made once from what
//     mmap returned. All later accesses index these slices, so Go's bounds checks hold and every
//     word is aligned. A failed check is a bug in this module (callers validate what they read from
//     shared memory before they use it as an offset) and panics.
//   - The file behind a mapping cannot shrink: [Map] refuses descriptors without F_SEAL_SHRINK and
//     mappings larger than the file. That removes the cause of SIGBUS.
//   - No string or slice over shared memory leaves the package, with two exceptions. Bytes are copied
//     out ([Region.Append], [Region.CopyOut]) or compared in place ([Region.EqualString]). The words of
//     [Region.Hints] are for writing what nobody relies on. [Region.View] is the value of a pinned
//     entry, for a caller that keeps the mapping alive and asks at the end whether it was right.
//   - [AddressOf] makes a number of a pointer and never a pointer of a number.
//   - A mapping must not be removed while somebody reads it. Region does not guard against that;
//     its owners do (see the packages index and session).
//
// # The race detector
//
// Another process writes this memory, so its accesses are data races by nature and the protocol
// (publish with release, read with acquire, verify after copying) makes them harmless: a torn copy
// is discarded before anybody looks at it. The race detector does not take part: its runtime
// ignores addresses outside the Go heap and data segments, both for plain accesses and for
// [sync/atomic], so the same code runs with and without -race. Consequently an atomic in shared
// memory does not order Go variables in its eyes; state of the process is guarded by Go mutexes and
// atomics. checkptr (part of -race) only objects to pointers that enter or straddle Go objects.
package shm
