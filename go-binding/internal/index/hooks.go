package index

// Points at which tests stop a reader and change the store. Nil outside tests.
var (
	hookAfterDirectory func()
	hookBeforeCopy     func()
	hookAfterCopy      func()
	hookBeforePin      func()
	// hooked says that a hook may be set. The assembly has none.
	hooked bool
)
