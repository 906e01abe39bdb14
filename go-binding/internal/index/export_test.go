package index

import "testing"

// SetHooks installs hooks for the external tests and returns a function that removes them.
func SetHooks(t testing.TB, afterDirectory, beforeCopy, afterCopy func()) {
	hookAfterDirectory, hookBeforeCopy, hookAfterCopy = afterDirectory, beforeCopy, afterCopy
	hooked = true
	t.Cleanup(func() { hookAfterDirectory, hookBeforeCopy, hookAfterCopy, hooked = nil, nil, nil, false })
}

// SetPinHook installs a hook that runs before a pin is published.
func SetPinHook(t testing.TB, beforePin func()) {
	hookBeforePin, hooked = beforePin, true
	t.Cleanup(func() { hookBeforePin, hooked = nil, false })
}

// LookupThorough is Lookup without the straight path.
func (s *Store) LookupThorough(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta) ([]byte, Result) {
	return s.lookup(dst, ns, key, hash, meta)
}

// LookupInAssembly is the straight path in assembly.
func (s *Store) LookupInAssembly(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta) int {
	return lookupAssembly(s, ns, key, hash, dst, meta)
}

// ReadInAssembly computes the hash in assembly too, where that can.
func (s *Store) ReadInAssembly(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta) int {
	if len(key) >= 4 && len(key) <= 16 {
		return lookupShortKey(s, ns, key, 0, dst, meta)
	}
	return lookupAssembly(s, ns, key, hash, dst, meta)
}

// Entry is what the entry alone decides.
func (m Meta) Entry() Meta {
	m.Hash, m.slot = 0, 0
	return m
}

const (
	StraightInAssembly  = straightInAssembly
	LongestStraightCopy = 4096
	NotStraight         = notStraight
	NotInAssembly       = notInAssembly
	CertainMiss         = certainMiss
)
