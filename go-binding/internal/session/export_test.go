package session

// NoSpinning lets every caller sleep at once.
func NoSpinning(s *Session) {
	for range 50 {
		s.policy.TooSlow(true)
		s.policy.TooSlow(false)
	}
}

// Reserved is the credit in use.
func Reserved(ch *Channel) int64 {
	ch.reap.Lock()
	defer ch.reap.Unlock()
	ch.drain()
	return ch.reserved.Load()
}

// Spinning lets callers spin again.
func Spinning(s *Session) {
	for range 200 {
		s.policy.Completed(true, 0)
		s.policy.Completed(false, 0)
	}
}

// Parked is how many callers sleep.
func Parked(ch *Channel) int32 { return ch.parked.Load() }

// The hooks. Set them while nobody is inside.
var (
	BeforeArming      = &hookBeforeArming
	BeforeRecheck     = &hookBeforeRecheck
	BeforeRoomArming  = &hookBeforeRoomArming
	BeforeLeavingSpin = &hookBeforeLeavingSpin
	BeforeGrant       = &hookBeforeGrant
)
