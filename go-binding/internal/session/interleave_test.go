package session_test

// The doorbell protocol at the instants where a wake-up can be lost. In each test the server acts
// inside a hook, on the client's goroutine, so that the order is the one that hurts. A lost wake-up
// shows as a test that does not end.

import (
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

// once lets a hook run f the first time.
func once(t *testing.T, hook *func(), f func()) *bool {
	ran := new(bool)
	*hook = func() {
		if !*ran {
			*ran = true
			f()
		}
	}
	t.Cleanup(func() { *hook = nil })
	return ran
}

func TestAnswerJustBeforeAndAfterTheFlag(t *testing.T) {
	for name, hook := range map[string]*func(){
		"after the last look, before the flag": session.BeforeArming,
		"after the flag, before the new look":  session.BeforeRecheck,
	} {
		t.Run(name, func(t *testing.T) {
			_, s, server, ch := open(t)
			session.NoSpinning(s)
			ran := once(t, hook, func() { server.Answer(server.Next(), 0, []byte("now")) })
			var r session.Result
			ch.Do(background, &session.Request{Op: layout.OpCall}, nil, &r)
			if string(r.Value) != "now" || !*ran {
				t.Fatalf("%+v, hook %v", r, *ran)
			}
			if server.ClientAsleep() != 0 {
				t.Error("the flag stays set, and nobody sleeps")
			}
			*hook = nil
		})
	}
}

func TestRoomJustBeforeTheFlag(t *testing.T) {
	_, s, server, ch := open(t)
	session.NoSpinning(s)
	ran := once(t, session.BeforeRoomArming, func() {
		for {
			m, err := server.TryNext()
			if err != nil || m == nil {
				return
			}
			// Not answered yet: only the ring's head moves, unseen by the flag.
		}
	})
	for i := 0; !*ran; i++ {
		if err := ch.Start(background, &session.Request{Op: layout.OpSet, Value: make([]byte, 1000)}, ""); err != nil {
			t.Fatal(err)
		}
		if i > 100 {
			t.Fatal("the ring never fills up")
		}
	}
}

func TestTheLastSpinnerLooksAfterThoseWhoSleep(t *testing.T) {
	_, s, server, ch := open(t)
	session.NoSpinning(s)
	sleeper := do(background, ch, []byte("sleeper"), nil)
	sleeping := server.Next()
	for session.Parked(ch) == 0 || server.ClientAsleep()&layout.ClientWaitsForResponse == 0 {
	}
	session.Spinning(s)
	// The sleeper's answer comes when the spinner has done its last look and is about to leave.
	// Nobody rings for it, because while somebody spins the flag is not set.
	ran := once(t, session.BeforeLeavingSpin, func() {
		if server.ClientAsleep() != 0 {
			t.Error("the flag is set while somebody spins")
		}
		server.Answer(sleeping, 0, []byte("good morning"))
	})
	var r session.Result
	spinner := make(chan struct{})
	go func() {
		defer close(spinner)
		ch.Do(background, &session.Request{Op: layout.OpCall}, nil, &r)
	}()
	server.Answer(server.Next(), 0, nil)
	<-spinner
	if !*ran {
		server.Answer(sleeping, 0, []byte("good morning"))
		<-sleeper
		t.Skip("nobody spun: GOMAXPROCS is 1, or the machine is too busy")
	}
	if woken := <-sleeper; string(woken.Value) != "good morning" {
		t.Fatalf("%+v", woken)
	}
}

func TestTheFlagIsNotTouchedByASpinner(t *testing.T) {
	_, s, server, ch := open(t)
	session.Spinning(s)
	armed := 0
	*session.BeforeArming = func() { armed++ }
	t.Cleanup(func() { *session.BeforeArming = nil })
	const calls = 500
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range calls {
			var r session.Result
			ch.Do(background, &session.Request{Op: layout.OpCall}, nil, &r)
		}
	}()
	for range calls {
		server.Answer(server.Next(), 0, nil)
	}
	<-done
	t.Logf("%d of %d calls slept", armed, calls)
}
