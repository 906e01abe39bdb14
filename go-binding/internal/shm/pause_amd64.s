#include "textflag.h"

// func pause(n uint32)
// PAUSE tells the core that this is a spin loop: it saves power, yields to the sibling thread, and
// avoids the memory-order flush when the loop ends. 10 to 140 cycles, so callers calibrate it.
TEXT ·pause(SB), NOSPLIT, $0-4
	MOVL n+0(FP), CX
	TESTL CX, CX
	JZ   done
loop:
	PAUSE
	DECL CX
	JNZ  loop
done:
	RET

// func prefetch(p unsafe.Pointer)
TEXT ·prefetch(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	RET
