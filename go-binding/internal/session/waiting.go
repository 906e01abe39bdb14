package session

import (
	"context"
	"runtime"

	"github.com/hearthd/hearth/go-binding/internal/layout"
)

const (
	// yieldEvery is how many bursts a lone spinner keeps the processor for: about 4 us.
	yieldEvery = 100
	// crowd is the number of spinners of a channel from which on they yield after every look: the
	// others are then more likely to have something to do than the ring is to have an answer.
	crowd = 2
	// crowdYields is how often they do so before they sleep.
	crowdYields = 4
)

// await returns when c is complete (nil) or ctx is done first (its error). After an error the call
// belongs to the reapers.
func (ch *Channel) await(ctx context.Context, c *call, rang bool) error {
	if ch.spin(c, rang) {
		return nil
	}
	return ch.sleep(ctx, c)
}

// spin reports whether c completed while it spun.
func (ch *Channel) spin(c *call, rang bool) bool {
	policy := ch.session.policy
	budget := policy.Budget(rang)
	if budget == 0 {
		policy.Slept(rang)
		return c.done.Load() != 0
	}
	others := ch.spinners.Add(1)
	if ch.armed.Load() {
		ch.disarm()
	}
	hit, crowded := false, 0
	for bursts := uint64(0); bursts < budget; bursts++ {
		if c.done.Load() != 0 {
			policy.Completed(rang, bursts)
			hit = true
			break
		}
		if ch.pending() && ch.reap.TryLock() {
			ch.drain()
			ch.reap.Unlock()
			continue
		}
		policy.Burst()
		if others >= crowd {
			if crowded++; crowded > crowdYields {
				break
			}
			runtime.Gosched()
			others = ch.spinners.Load()
		} else if bursts%yieldEvery == yieldEvery-1 {
			runtime.Gosched()
			others = ch.spinners.Load()
		}
	}
	// How long a lease takes is up to other processes, and says nothing about the next request.
	if !hit && crowded <= crowdYields && c.op != layout.OpLease {
		policy.TooSlow(rang)
		policy.Refresh()
	}
	runHook(hookBeforeLeavingSpin)
	// The last spinner takes back its promise to reap for those who sleep. Each of them increments
	// parked before it reads spinners, so one of the two sees the other.
	if ch.spinners.Add(-1) == 0 && ch.parked.Load() > 0 {
		ch.reap.Lock()
		ch.settle()
		ch.reap.Unlock()
	}
	return hit
}

// sleep waits on the call's token.
func (ch *Channel) sleep(ctx context.Context, c *call) error {
	ch.reap.Lock()
	ch.drain()
	if c.done.Load() != 0 {
		ch.reap.Unlock()
		return nil
	}
	c.parked = true
	ch.parked.Add(1)
	ch.settle()
	ch.reap.Unlock()
	select {
	case <-c.notify:
		return nil
	case <-ctx.Done():
	}
	ch.reap.Lock()
	if c.done.Load() != 0 {
		// The answer won; its token is there.
		ch.reap.Unlock()
		<-c.notify
		return nil
	}
	id := c.id
	c.parked, c.abandoned, c.dst = false, true, nil
	ch.parked.Add(-1)
	ch.settle()
	ch.reap.Unlock()
	ch.post(layout.OpCancel, id, 0)
	return ctx.Err()
}

// settle brings client_asleep bit 0 in line with who sleeps and who spins, and reaps what was
// published before the server could see it. Under the reap lock.
func (ch *Channel) settle() {
	for !ch.reap.dead {
		if ch.parked.Load() == 0 {
			ch.clearAsleep()
			return
		}
		if ch.spinners.Load() > 0 {
			return // the last of them comes here
		}
		if !ch.armed.Load() {
			runHook(hookBeforeArming)
			ch.armed.Store(true)
			ch.flag.Set(layout.ClientWaitsForResponse)
		}
		runHook(hookBeforeRecheck)
		// SYNC both client-asleep: response_tail is read after the bit was set; the server stores it
		// before it reads the bit.
		if !ch.pending() {
			return
		}
		ch.drain()
	}
}

func (ch *Channel) clearAsleep() {
	if ch.armed.Load() {
		ch.armed.Store(false)
		ch.flag.Clear(layout.ClientWaitsForResponse)
	}
}

// disarm spares the server the doorbell while somebody spins.
func (ch *Channel) disarm() {
	if ch.reap.TryLock() {
		if !ch.reap.dead {
			ch.clearAsleep()
		}
		ch.reap.Unlock()
	}
}

// rung is the pump's callback: the server rang.
func (ch *Channel) rung() {
	ch.reap.Lock()
	if !ch.reap.dead {
		ch.clearAsleep() // while this goroutine is awake nobody needs to ring
		ch.drain()
		ch.settle()
	}
	ch.reap.Unlock()
	ch.roomChanged()
}

// Points at which tests let the server act. Nil outside tests.
var (
	hookBeforeArming      func()
	hookBeforeRecheck     func()
	hookBeforeRoomArming  func()
	hookBeforeLeavingSpin func()
	hookBeforeGrant       func()
)

func runHook(hook func()) {
	if hook != nil {
		hook()
	}
}
