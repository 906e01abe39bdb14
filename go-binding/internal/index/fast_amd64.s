//go:build !race

#include "go_asm.h"
#include "textflag.h"

// func lookupShortKey(s *Store, ns *Namespace, key string, hash uint64, dst []byte, meta *Meta) int
//
// lookupAssembly for a key of 4 to 16 bytes, for which it computes the hash: HashKey of hash.go.
TEXT ·lookupShortKey(SB), NOSPLIT, $0-80
	MOVQ s+0(FP), DI
	MOVQ ns+8(FP), BX
	MOVQ key_base+16(FP), SI
	MOVQ key_len+24(FP), CX
	MOVQ CX, R10
	SHRQ $3, R10
	SHLQ $2, R10
	MOVL (SI), AX
	MOVL (SI)(R10*1), R11
	SHLQ $32, AX
	ORQ  R11, AX
	LEAQ -4(SI)(CX*1), SI
	MOVL (SI), DX
	SUBQ R10, SI
	MOVL (SI), R11
	SHLQ $32, DX
	ORQ  R11, DX
	XORQ (Store_secret+8)(DI), AX
	XORQ Namespace_seed(BX), DX
	MULQ DX
	XORQ Store_secret(DI), AX
	XORQ CX, AX
	XORQ (Store_secret+8)(DI), DX
	MULQ DX
	XORQ DX, AX
	MOVQ AX, hash+32(FP)
	JMP  ·lookupAssembly(SB)

// func lookupAssembly(s *Store, ns *Namespace, key string, hash uint64, dst []byte, meta *Meta) int
//
// lookupStraight of fast.go, step by step; that one has the explanations. Returns how many bytes it
// wrote behind dst[:len(dst)], or notStraight, certainMiss, or notInAssembly for a value that is long
// or that dst has no room for. Unlike lookupStraight it finds entries with expiries, and leaves it to
// the caller to judge them.
//
//   AX slot              BX value length      CX entry, then source   DX segment word's address
//   SI, DI scratch       R8 scratch, key length                       R9 segment word
//   R10 version          R11 directory word's address                 R12 directory word
//   R13 slot's address
TEXT ·lookupAssembly(SB), NOSPLIT, $0-80
	MOVQ s+0(FP), DI
	MOVQ ns+8(FP), SI
	MOVQ hash+32(FP), R8

	// SYNC acquire namespace-state: the record's other fields.
	MOVQ Namespace_line(SI), R9
	MOVQ (R9), AX
	MOVQ $const_namespaceStateAndStrict, BX
	ANDQ BX, AX
	CMPQ AX, Namespace_live(SI)
	JNE  thorough
	MOVQ const_namespaceFlushedVersion(R9), R10

	// SYNC acquire directory-word: the page, filled before the word named it. A shift by 64, which
	// the CPU takes for none, leaves an index that is out of range.
	MOVQ  Store_directoryShift(DI), CX
	MOVQ  R8, AX
	SHRQ  CX, AX
	CMPQ  AX, (Store_directory+8)(DI)
	JAE   thorough
	MOVQ  Store_directory(DI), R11
	LEAQ  (R11)(AX*8), R11
	MOVQ  (R11), R12
	TESTQ R12, R12 // directoryValid is the sign
	JPL   thorough
	MOVL  R12, AX
	CMPQ  AX, (Store_pages+8)(DI)
	JAE   thorough
	SHLQ  $const_pageShift, AX
	ADDQ  Store_pages(DI), AX

	// The home bucket: below FirstHomeBucket + HomeBuckets, hence inside the page.
	MOVL  R8, BX
	IMULQ $const_homeBuckets, BX
	SHRQ  $32, BX
	ADDQ  $const_firstHomeBucket, BX
	SHLQ  $const_bucketShift, BX
	ADDQ  BX, AX

	// As in matchTag of package shm.
	MOVQ      R8, X0
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
	SHLL      $16, CX
	ORL       CX, BX
	ANDL      $0x88888880, BX
	JEQ       noMatch
	BSFL      BX, BX
	SHRL      $2, BX
	LEAQ      (AX)(BX*8), R13

	// SYNC acquire slot-publish: the entry, complete before a slot pointed at it. Only this load of
	// the slot counts; the ones above were a filter, and the key decides.
	MOVQ (R13), AX
	BTQ  $const_slotUsedBit, AX
	JCC  thorough
	MOVQ AX, SI
	SHRQ $const_slotSegmentShift, SI
	ANDL $const_slotSegmentMask, SI
	CMPQ SI, (Store_segments+8)(DI)
	JAE  thorough
	MOVQ SI, DX
	SHLQ $const_segmentHeaderShift, DX
	ADDQ Store_segments(DI), DX
	ADDQ $const_segmentStateGeneration, DX

	// SYNC acquire segment-generation: the segment's bytes belong to this generation.
	MOVQ  (DX), R9
	MOVQ  R9, BX
	SHRQ  $const_segmentStateShift, BX
	SUBQ  $const_segmentOpen, BX
	CMPQ  BX, $const_segmentReadableStates
	JHI   thorough
	MOVQ  AX, BX
	SHRQ  $const_slotGenerationShift, BX
	XORQ  R9, BX
	TESTQ $const_slotGenerationMask, BX
	JNE   thorough

	// The entry, and in DI how many bytes of the segment follow its header.
	MOVQ Store_segmentShift(DI), CX
	SHLQ CX, SI
	ADDQ Store_data(DI), SI
	MOVQ AX, R8
	ANDL $const_slotOffsetMask, R8
	SHLQ $3, R8
	MOVL $1, DI
	SHLQ CX, DI
	SUBQ R8, DI
	JCS  thorough
	SUBQ $const_entryHeaderSize, DI
	JCS  thorough
	LEAQ (SI)(R8*1), CX

	MOVQ const_entryVersion(CX), BX
	SHLQ $const_unversionBits, BX
	SHRQ $const_unversionBits, BX
	CMPQ BX, R10
	JLS  thorough
	MOVQ BX, R10

	// Namespace, key length and flags in one comparison. R8 is the value's length until there is room
	// for it in BX.
	MOVQ    ns+8(FP), SI
	MOVWLZX Namespace_ID(SI), SI
	MOVQ    key_len+24(FP), R8
	SHLQ    $16, R8
	ORQ     R8, SI
	MOVQ    (CX), BX
	SHRQ    $32, BX
	XORQ    SI, BX
	MOVL    const_entryValueLength(CX), R8
	ADDQ    $const_entryHeaderSize, CX
	MOVQ    meta+64(FP), SI
	PCMPEQL X1, X1 // layout.Never
	MOVQ    X1, Meta_HardExpiryMs(SI)
	MOVQ    X1, Meta_SoftExpiryMs(SI)
	TESTQ   BX, BX
	JNE     expiry

lengths:
	MOVQ    R8, BX
	MOVQ    key_len+24(FP), R8
	LEAQ    (R8)(BX*1), SI // neither has 33 bits
	CMPQ    SI, DI
	JHI     thorough
	CMPQ    BX, $const_longestStraightCopy
	JHI     other
	MOVQ    dst_cap+56(FP), DI
	SUBQ    dst_len+48(FP), DI
	CMPQ    BX, DI
	JHI     other

	// The key.
	MOVQ key_base+16(FP), SI
	CMPQ R8, $8
	JCS  shortKey
	MOVQ -8(SI)(R8*1), DI
	CMPQ DI, -8(CX)(R8*1)
	JNE  thorough
	SUBQ $8, R8

keyLoop: // R8 bytes are left, of which the last 8 may have been compared
	MOVQ (SI), DI
	CMPQ DI, (CX)
	JNE  thorough
	ADDQ $8, SI
	ADDQ $8, CX
	SUBQ $8, R8
	JHI  keyLoop
	ADDQ R8, CX
	ADDQ $8, CX
	JMP  copyValue

shortKey:
	TESTQ R8, R8
	JEQ   copyValue

shortKeyLoop:
	MOVBLZX (SI), DI
	CMPB    DI, (CX)
	JNE     thorough
	INCQ    SI
	INCQ    CX
	DECQ    R8
	JNE     shortKeyLoop

copyValue: // from CX
	MOVQ dst_base+40(FP), SI
	ADDQ dst_len+48(FP), SI
	MOVQ BX, DI
	CMPQ DI, $16
	JCS  shortValue
	MOVOU -16(CX)(DI*1), X0 // the tail, which may overlap the rest
	MOVOU X0, -16(SI)(DI*1)
	SUBQ  $64, DI
	JCS   under64

copy64:
	MOVOU (CX), X1
	MOVOU 16(CX), X2
	MOVOU 32(CX), X3
	MOVOU 48(CX), X4
	MOVOU X1, (SI)
	MOVOU X2, 16(SI)
	MOVOU X3, 32(SI)
	MOVOU X4, 48(SI)
	ADDQ  $64, CX
	ADDQ  $64, SI
	SUBQ  $64, DI
	JCC   copy64

under64:
	ADDQ $48, DI // 16 less than what is left, and the tail is there
	JLE  check

copy16:
	MOVOU (CX), X1
	MOVOU X1, (SI)
	ADDQ  $16, CX
	ADDQ  $16, SI
	SUBQ  $16, DI
	JGT   copy16
	JMP   check

shortValue:
	CMPQ DI, $8
	JCS  tinyValue
	MOVQ (CX), R8
	MOVQ -8(CX)(DI*1), CX
	MOVQ R8, (SI)
	MOVQ CX, -8(SI)(DI*1)
	JMP  check

tinyValue:
	TESTQ DI, DI
	JEQ   check

tinyLoop:
	MOVBLZX -1(CX)(DI*1), R8
	MOVB    R8, -1(SI)(DI*1)
	DECQ    DI
	JNE     tinyLoop

check:
	// SYNC acquire segment-generation: as in read; if any byte was new, the generation is too. x86
	// performs loads in program order. A word that changed without harm, say because the segment
	// was sealed, is left to the thorough path.
	CMPQ R9, (DX)
	JNE  thorough
	CMPQ AX, (R13)
	JNE  thorough
	CMPQ R12, (R11)
	JNE  thorough
	MOVQ meta+64(FP), DI
	MOVQ hash+32(FP), SI
	MOVQ R10, Meta_Version(DI)
	MOVB $0, Meta_Stale(DI)
	MOVQ SI, Meta_Hash(DI)
	MOVQ AX, Meta_slot(DI)
	MOVQ BX, ret+72(FP)
	RET

expiry: // what differs must be the bits that announce expiries
	TESTQ $const_notExpiryBits, BX
	JNE   thorough
	BTQ   $const_hardExpiryBit, BX
	JCC   softExpiry
	SUBQ  $8, DI
	JCS   thorough
	MOVQ  (CX), X0
	MOVQ  X0, Meta_HardExpiryMs(SI)
	ADDQ  $8, CX

softExpiry:
	BTQ  $const_softExpiryBit, BX
	JCC  lengths
	SUBQ $8, DI
	JCS  thorough
	MOVQ (CX), X0
	MOVQ X0, Meta_SoftExpiryMs(SI)
	ADDQ $8, CX
	JMP  lengths

noMatch: // a miss, unless the chain goes on
	MOVWLZX (AX), BX
	TESTL   BX, BX
	JNE     thorough
	CMPQ    R12, (R11)
	JNE     thorough
	MOVQ    $const_certainMiss, ret+72(FP)
	RET

thorough:
	MOVQ $const_notStraight, ret+72(FP)
	RET

other:
	MOVQ $const_notInAssembly, ret+72(FP)
	RET
