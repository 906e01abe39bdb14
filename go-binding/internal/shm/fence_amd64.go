package shm

// AcquireFence keeps the loads before it in front of everything after it. x86 performs loads in
// program order, so no instruction is needed, and the compiler moves no load across the atomic
// operations and calls that surround it in a reader.
func AcquireFence() {}
