// Package wait is the waiting policy of the client: when to spin and for how long, how to tell the
// server that nobody spins, and how its doorbell reaches a goroutine.
//
// # Why it is built this way
//
// A cache line goes back and forth between two CPUs in about 120 ns; waking a sleeping one takes 30
// to 60 us, most of it spent by the hypervisor and the idle governor. So a caller spins while the
// answer is likely to come sooner than a wake-up would take ([Policy]), and sleeps otherwise.
//
// A sleeping caller waits on a Go channel. One goroutine per ring channel, the [Pump], waits for the
// doorbell on the runtime's netpoller; a thread blocked in a futex or a read would be one thread per
// waiter, and the scheduler would have to replace it. RawConn.Read with a callback is the cheapest
// way to be woken there: it needs no system call between the wake-up and the look at the ring, and
// the doorbell is emptied while the answer is already being delivered. latency_test.go measures
// the alternatives.
package wait
