package session_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hearthd/hearth/go-binding/internal/layout"
	"github.com/hearthd/hearth/go-binding/internal/session"
)

const keyHash = 7

func queue(t *testing.T, ch *session.Channel, op uint16, key string, value []byte) {
	t.Helper()
	r := session.Request{Op: op, Target: 3, Key: key, Value: value, Hash: keyHash}
	if err := ch.Start(context.Background(), &r, key); err != nil {
		t.Fatal(err)
	}
}

func TestAQueuedChangeIsPendingUntilItsAnswer(t *testing.T) {
	for _, op := range []uint16{layout.OpSet, layout.OpDelete} {
		for _, status := range []uint16{0, 5, 8} {
			_, s, server, ch := open(t)
			pending := s.Pending()
			if pending.Any() || pending.Has(keyHash) {
				t.Fatal("something is pending from the start")
			}
			queue(t, ch, op, "k", nil)
			queue(t, ch, op, "k", nil)
			for range 2 {
				if !pending.Any() || !pending.Has(keyHash) || pending.Has(keyHash+1) {
					t.Fatal("not pending")
				}
				if !ch.Unapplied(3, "k") || ch.Unapplied(3, "other") || ch.Unapplied(2, "k") {
					t.Error("the wrong keys are not applied")
				}
				server.Answer(server.Next(), status, nil)
				ch.Reap()
			}
			if pending.Any() || pending.Has(keyHash) || ch.Unapplied(3, "k") {
				t.Error("still pending after the answer")
			}
		}
	}
}

func TestReadersDoNotWaitForOtherRequests(t *testing.T) {
	_, s, _, ch := open(t)
	queue(t, ch, layout.OpRelease, "k", nil)
	if s.Pending().Any() {
		t.Error("a release is pending")
	}
}

func TestAChangeThatWasNeverSentIsNotPending(t *testing.T) {
	_, s, _, ch := open(t)
	s.Fail(errors.New("over"))
	r := session.Request{Op: layout.OpSet, Key: "k", Hash: keyHash}
	if err := ch.Start(context.Background(), &r, "k"); err == nil {
		t.Fatal("sent")
	}
	if s.Pending().Any() || ch.Unapplied(0, "k") {
		t.Error("pending")
	}
}

func TestAChangeThatTheSessionsEndHasOvertakenIsLost(t *testing.T) {
	_, s, server, ch := open(t)
	queue(t, ch, layout.OpSet, "applied", nil)
	queue(t, ch, layout.OpDelete, "lost", nil)
	server.Answer(server.Next(), 0, nil) // not reaped yet
	s.Fail(errors.New("over"))
	if ch.Unapplied(3, "applied") || !ch.Unapplied(3, "lost") || !s.Pending().Has(keyHash) || !s.Pending().Any() {
		t.Error("the wrong one is lost")
	}
}

func TestALongChangeThatTheSessionsEndHasOvertakenIsLost(t *testing.T) {
	_, s, server, ch := open(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := session.Request{Op: layout.OpSet, Target: 3, Key: "k", Value: make([]byte, ringBytes), Hash: keyHash}
		_ = ch.Start(context.Background(), &r, "k")
	}()
	server.NextWhole()
	s.Fail(errors.New("over"))
	<-done
	if !ch.Unapplied(3, "k") || !s.Pending().Has(keyHash) {
		t.Error("not lost")
	}
}
