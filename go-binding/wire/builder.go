package wire

// DefaultMaxBytes is the size limit of a Builder that is reset with maxBytes 0: the default
// traversal limit of a reader, so that a default reader can read what a default builder writes.
const DefaultMaxBytes = DefaultTraversalWords * wordBytes

// Builder builds one message of one segment. The zero value must be reset before use. Handles of a
// Builder are valid until its next reset. Do not copy a Builder in use. Not safe for concurrent use.
//
// Setting a pointer field again leaves the bytes of the old object in the message, unreachable.
type Builder struct {
	buf    []byte // what is built so far, beginning with the frame header if there is one
	header int    // bytes before the segment: 8 or 0
	limit  int    // bytes buf may grow to
	err    error
}

// ResetFramed starts a message with a framing header in the storage of buf, whose contents and
// length do not matter. If the storage is not large enough the builder allocates, up to maxBytes
// for header and message together; with maxBytes <= cap(buf) it never allocates. maxBytes 0 means
// DefaultMaxBytes.
func (b *Builder) ResetFramed(buf []byte, maxBytes int) { b.reset(buf, maxBytes, wordBytes) }

// ResetFlat is ResetFramed for a bare segment without a framing header.
func (b *Builder) ResetFlat(buf []byte, maxBytes int) { b.reset(buf, maxBytes, 0) }

func (b *Builder) reset(buf []byte, maxBytes, header int) {
	if maxBytes == 0 {
		maxBytes = DefaultMaxBytes
	}
	b.buf, b.header, b.err = buf[:0], header, nil
	b.limit = int(min(int64(maxBytes), int64(header)+maxSegmentWords*wordBytes))
	b.alloc(header/wordBytes + 1) // the header and the root pointer
}

// Bytes finishes the message and returns it, header included, or the first error met while building
// it. The bytes are in the storage given to the reset if that was large enough. Building may go on
// after Bytes, followed by another Bytes.
func (b *Builder) Bytes() ([]byte, error) {
	if b.err == nil && len(b.buf) < b.header+wordBytes {
		b.err = ErrNotReset
	}
	if b.err != nil {
		return nil, b.err
	}
	if b.header != 0 {
		words := uint32((len(b.buf) - b.header) / wordBytes)
		le.PutUint64(b.buf, uint64(words)<<32) // one segment: the count less one is 0
	}
	return b.buf, nil
}

// Root allocates the root struct. Calling it again replaces the root.
func (b *Builder) Root(dataWords, pointers uint16) StructBuilder {
	if len(b.buf) < b.header+wordBytes {
		b.fail(ErrNotReset)
		return StructBuilder{b: b}
	}
	return b.newStruct(b.header, dataWords, pointers)
}

func (b *Builder) fail(err error) {
	if b != nil && b.err == nil {
		b.err = err
	}
}

// alloc appends words zero words and returns the byte in buf at which they start.
func (b *Builder) alloc(words int) (at int, ok bool) {
	at = len(b.buf)
	// Compared in words: on a 32-bit machine the bytes of a rejected request may overflow.
	if b.err != nil || words > (b.limit-at)/wordBytes {
		b.fail(ErrTooLarge)
		return 0, false
	}
	end := at + words*wordBytes
	if end > cap(b.buf) {
		b.grow(end)
	}
	b.buf = b.buf[:end]
	clear(b.buf[at:])
	return at, true
}

// grow moves the message to storage for at least size bytes, doubling so that the cost of moving
// stays proportional to the size of the message.
func (b *Builder) grow(size int) {
	bigger := make([]byte, len(b.buf), min(max(size, 2*cap(b.buf), 256), b.limit))
	copy(bigger, b.buf)
	b.buf = bigger
}

// setPointer writes a struct or list pointer at byte ptr: to the object at byte at, with low as the
// kind in the two low bits and high as the upper half.
func (b *Builder) setPointer(ptr, at int, low, high uint32) {
	offset := int32((at-ptr)/wordBytes - 1)
	le.PutUint64(b.buf[ptr:], uint64(uint32(offset)<<2|low)|uint64(high)<<32)
}

func (b *Builder) newStruct(ptr int, dataWords, pointers uint16) StructBuilder {
	at, ok := b.alloc(int(dataWords) + int(pointers))
	if !ok {
		return StructBuilder{b: b}
	}
	if dataWords == 0 && pointers == 0 {
		at = ptr // offset -1: an offset of 0 would be the null pointer
	}
	b.setPointer(ptr, at, kindStruct, uint32(dataWords)|uint32(pointers)<<16)
	return StructBuilder{b, at, uint32(dataWords) * wordBytes, uint32(pointers)}
}

func (b *Builder) newList(ptr int, layout Layout, n int) ListBuilder {
	if n < 0 || n > maxSegmentWords {
		b.fail(ErrTooLarge)
		return ListBuilder{b: b}
	}
	if layout.Elem == ElemStruct {
		return b.newComposite(ptr, layout, n)
	}
	bits, pointers := layout.Elem.layout()
	step := uint64(bits) + 64*uint64(pointers)
	at, ok := b.alloc(int((uint64(n)*step + 63) / 64))
	if !ok {
		return ListBuilder{b: b}
	}
	b.setPointer(ptr, at, kindList, uint32(layout.Elem)|uint32(n)<<3)
	return ListBuilder{b, at, n, makeStride(uint32(step), 0, pointers)}
}

func (b *Builder) newComposite(ptr int, layout Layout, n int) ListBuilder {
	step := uint64(layout.Data) + uint64(layout.Pointers)
	words := uint64(n) * step
	if words > maxSegmentWords { // before it is an int, which may have 32 bits
		b.fail(ErrTooLarge)
		return ListBuilder{b: b}
	}
	at, ok := b.alloc(int(words) + 1)
	if !ok {
		return ListBuilder{b: b}
	}
	b.setPointer(ptr, at, kindList, uint32(ElemStruct)|uint32(words)<<3)
	tag := uint64(n)<<2 | uint64(layout.Data)<<32 | uint64(layout.Pointers)<<48
	le.PutUint64(b.buf[at:], tag)
	return ListBuilder{b, at + wordBytes, n,
		makeStride(uint32(step*64), layout.Data, layout.Pointers)}
}

// bytesAt allocates n bytes of text or data, extra zero bytes not counted by the caller included in
// the list's length, and returns them for filling.
func (b *Builder) bytesAt(ptr, n, extra int) (dst []byte, ok bool) {
	if n > maxSegmentWords-extra {
		b.fail(ErrTooLarge)
		return nil, false
	}
	at, ok := b.alloc((n + extra + 7) / wordBytes)
	if !ok {
		return nil, false
	}
	b.setPointer(ptr, at, kindList, uint32(ElemByte)|uint32(n+extra)<<3)
	return b.buf[at : at+n], true
}
