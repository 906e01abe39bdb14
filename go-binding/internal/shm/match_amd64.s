#include "textflag.h"

// func matchTag(line *Line, tag uint64) uint64
// Compares the top 16 bits of words 1 to 7 of a line with tag, and returns bit 4*i+3 for word i.
//
// SSE2, which every amd64 has. Eleven instructions wait for the line instead of some fifty in Go:
// what counts is not the time they take but that they do not fill the scheduler of the CPU while
// the line is on its way from memory, so that the next lookup can start behind this one.
TEXT ·matchTag(SB), NOSPLIT, $0-24
	MOVQ      line+0(FP), AX
	MOVQ      tag+8(FP), X0
	PUNPCKLWL X0, X0
	PSHUFD    $0, X0, X0
	MOVOU     X0, X1
	MOVOU     X0, X2
	MOVOU     X0, X3
	MOVOU     0(AX), X4
	MOVOU     16(AX), X5
	MOVOU     32(AX), X6
	MOVOU     48(AX), X7
	PCMPEQW   X4, X0
	PCMPEQW   X5, X1
	PCMPEQW   X6, X2
	PCMPEQW   X7, X3
	PACKSSWB  X1, X0
	PACKSSWB  X3, X2
	PMOVMSKB  X0, BX
	PMOVMSKB  X2, CX
	SHLQ      $16, CX
	ORQ       CX, BX
	ANDL      $0x88888880, BX
	MOVQ      BX, ret+16(FP)
	RET
