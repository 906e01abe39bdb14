// Package wire reads and builds messages in the standard Cap'n Proto wire format. It is the runtime
// under the code that tools/capnpc-hearth-go generates; applications use the generated types and
// meet this package only through Message, Builder and the list types.
//
// The format is the one of https://capnproto.org/encoding.html; "the C++ library" below is the
// reference implementation, and where the document leaves a choice open (limits, list upgrades)
// this package does what the C++ library does.
//
// # Reading
//
//	var m wire.Message                 // reusable; holds no memory of its own
//	rest, err := m.ReadFramed(frame)   // or m.ReadFlat(segment)
//	req := control.RootRequest(&m)     // generated
//	id, name := req.Id(), req.NameBytes()
//	if err := m.Err(); err != nil { ... } // one check, after the reads, before acting on them
//
// Getters return plain values. A getter that meets a malformed pointer returns the field's default
// and records the first such error in the Message, where Err finds it. The alternative, a (T, error)
// pair from every pointer getter, was rejected: decoding a request would be mostly error plumbing,
// getters could not be chained (req.Open().Options().At(0).Name()), and the only sound reaction to
// a malformed message is to reject the whole message. The price is one duty: call Err after the
// last read and before acting on what was read. Data getters (integers, booleans, enums) cannot
// fail: what an older peer did not send reads as the default.
//
// Nothing read from a message can panic, loop or reach outside the given bytes: every object is
// bounds-checked when its pointer is followed, and each pointer word is loaded exactly once, so the
// checks also hold while another process writes to the same memory. (What views return can then
// change under the reader; copy first what must not change.) Work is bounded by Limits.
//
// # Building
//
//	var b wire.Builder
//	b.ResetFramed(buf, maxBytes)       // or ResetFlat; reuses buf's storage
//	req := control.NewRootRequest(&b)  // generated
//	req.SetId(7)
//	out, err := b.Bytes()              // the error of any step, such as ErrTooLarge
//	buf = out                          // give the storage back to the next Reset
//
// A Builder writes one segment. It uses the same error law: setters do not fail, Bytes reports the
// first error.
//
// # Memory and threads
//
// Reading never allocates, except for string copies of text. Building allocates only when the
// buffer must grow. Handles (Struct, List, StructBuilder, ListBuilder and the generated types over
// them) are small values; they are valid until the Message or Builder they came from is reset.
// Their zero values are an empty struct or list. A Message or Builder with all its handles belongs
// to one goroutine at a time; different ones are independent.
//
// # Not supported
//
// Capabilities, AnyPointer and packed encoding; building more than one segment; default values
// for struct and list fields; copying a read object into a message being built.
package wire
