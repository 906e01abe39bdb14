package index

import "testing"

// SetHooks installs hooks for the external tests and returns a function that removes them.
func SetHooks(t testing.TB, afterDirectory, beforeCopy, afterCopy func()) {
	hookAfterDirectory, hookBeforeCopy, hookAfterCopy = afterDirectory, beforeCopy, afterCopy
	t.Cleanup(func() { hookAfterDirectory, hookBeforeCopy, hookAfterCopy = nil, nil, nil })
}

// LookupThorough is Lookup without the straight path.
func (s *Store) LookupThorough(dst []byte, ns *Namespace, key string, hash uint64, meta *Meta) ([]byte, Result) {
	return s.lookup(dst, ns, key, hash, meta)
}
