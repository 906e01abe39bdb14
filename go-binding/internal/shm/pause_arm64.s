#include "textflag.h"

// func pause(n uint32)
TEXT ·pause(SB), NOSPLIT, $0-4
	MOVWU n+0(FP), R0
	CBZW R0, done
loop:
	YIELD
	SUBW $1, R0
	CBNZW R0, loop
done:
	RET

// func prefetch(p unsafe.Pointer)
TEXT ·prefetch(SB), NOSPLIT, $0-8
	MOVD p+0(FP), R0
	PRFM (R0), PLDL1KEEP
	RET

// func AcquireFence()
// DMB ISHLD: no load or store after it is performed before any load in front of it. An acquire load
// (LDAR) is not enough for the reader's re-check: it keeps later accesses behind itself, but lets
// the plain loads of the copy, which come earlier in the program, be performed after it.
TEXT ·AcquireFence(SB), NOSPLIT, $0-0
	DMB $0x9
	RET
