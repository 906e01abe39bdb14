package hearth_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func createNamespace(t *testing.T, client *hearth.Client, name string, settings hearth.NamespaceSettings) *hearth.Namespace {
	t.Helper()
	ns, err := client.CreateNamespace(context.Background(), name, settings)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func TestNamespaceLivesFromCreateToDrop(t *testing.T) {
	ctx := context.Background()
	daemon := hearthtest.Start(t)
	client, other := daemon.Dial(t), daemon.Dial(t)
	for i := range 3 {
		// Keys of all lengths, for all ways of reading.
		keys := []string{"k", "key 4 to 16", "a key that is longer than sixteen bytes"}
		ns := createNamespace(t, client, "run-time", hearth.NamespaceSettings{TTL: time.Hour})
		theirs, err := other.Namespace("run-time")
		check(t, err)
		for _, key := range keys {
			if _, err := theirs.Get(ctx, key); !errors.Is(err, hearth.ErrNotFound) {
				t.Fatalf("life %d: a new namespace has %q: %v", i, key, err)
			}
			check(t, ns.Set(ctx, key, []byte(fmt.Sprint(i))))
			value, err := theirs.Get(ctx, key)
			if err != nil || string(value) != fmt.Sprint(i) {
				t.Fatalf("life %d: %q, %v", i, value, err)
			}
		}
		check(t, client.DropNamespace(ctx, "run-time"))
		for _, key := range keys {
			if _, err := theirs.Get(ctx, key); !errors.Is(err, hearth.ErrNotFound) {
				t.Fatalf("life %d: after the drop: %v", i, err)
			}
			if err := theirs.Set(ctx, key, []byte("x")); !errors.Is(err, hearth.ErrUnknownNamespace) {
				t.Fatalf("life %d: set after the drop: %v", i, err)
			}
			if _, err := theirs.Delete(ctx, key); !errors.Is(err, hearth.ErrUnknownNamespace) {
				t.Fatalf("life %d: delete after the drop: %v", i, err)
			}
			if _, err := theirs.Add(ctx, key, nil); !errors.Is(err, hearth.ErrUnknownNamespace) {
				t.Fatalf("life %d: add after the drop: %v", i, err)
			}
		}
		if err := theirs.Flush(ctx); !errors.Is(err, hearth.ErrUnknownNamespace) {
			t.Fatalf("life %d: flush after the drop: %v", i, err)
		}
		if _, err := other.Namespace("run-time"); !errors.Is(err, hearth.ErrUnknownNamespace) {
			t.Fatalf("life %d: opened after the drop: %v", i, err)
		}
	}
}

func TestADroppedNamespaceIsNotTheNextOfItsID(t *testing.T) {
	ctx := context.Background()
	daemon := hearthtest.Start(t, hearthtest.WithStore(`max_namespaces = 3`)) // default, and one more
	client := daemon.Dial(t)
	first := createNamespace(t, client, "first", hearth.NamespaceSettings{})
	check(t, first.Set(ctx, "a key", []byte("of the first")))
	if _, err := client.CreateNamespace(ctx, "second", hearth.NamespaceSettings{}); !errors.Is(err, hearth.ErrStoreFull) {
		t.Fatal(err)
	}
	check(t, client.DropNamespace(ctx, "first"))
	second := createNamespace(t, client, "second", hearth.NamespaceSettings{})
	check(t, second.Set(ctx, "a key", []byte("of the second")))
	if value, err := first.Get(ctx, "a key"); !errors.Is(err, hearth.ErrNotFound) {
		t.Fatalf("%q, %v", value, err)
	}
	if err := first.Set(ctx, "a key", nil); !errors.Is(err, hearth.ErrUnknownNamespace) {
		t.Fatal(err)
	}
	if value, err := second.Get(ctx, "a key"); err != nil || string(value) != "of the second" {
		t.Fatalf("%q, %v", value, err)
	}
}

func TestFlushOfANamespace(t *testing.T) {
	ctx := context.Background()
	client := hearthtest.Start(t).Dial(t)
	ns, err := client.Namespace("default")
	check(t, err)
	other := createNamespace(t, client, "other", hearth.NamespaceSettings{})
	check(t, other.Set(ctx, "key", []byte("stays")))
	for i := range 100 {
		check(t, ns.Set(ctx, fmt.Sprint("key", i), []byte("value")))
	}
	check(t, ns.Flush(ctx))
	for i := range 100 {
		if _, err := ns.Get(ctx, fmt.Sprint("key", i)); !errors.Is(err, hearth.ErrNotFound) {
			t.Fatal(i, err)
		}
	}
	check(t, ns.Set(ctx, "key1", []byte("new")))
	for want, ns := range map[string]*hearth.Namespace{"new": ns, "stays": other} {
		key := map[string]string{"new": "key1", "stays": "key"}[want]
		if value, err := ns.Get(ctx, key); err != nil || string(value) != want {
			t.Fatalf("%q, %v", value, err)
		}
	}
}

func TestAlterNamespaceChangesWhatItNames(t *testing.T) {
	ctx := context.Background()
	client := hearthtest.Start(t).Dial(t)
	ns := createNamespace(t, client, "ns", hearth.NamespaceSettings{TTL: time.Hour})
	ttl := func() time.Duration {
		t.Helper()
		check(t, ns.Set(ctx, "key", nil))
		_, metadata, err := ns.GetAppend(nil, "key")
		check(t, err)
		if metadata.Expires.IsZero() {
			return 0
		}
		return time.Until(metadata.Expires).Round(time.Minute)
	}
	if got := ttl(); got != time.Hour {
		t.Fatal(got)
	}
	strict, none, two := true, time.Duration(0), 2*time.Hour
	check(t, client.AlterNamespace(ctx, "ns", hearth.NamespaceChange{Strict: &strict}))
	if got := ttl(); got != time.Hour {
		t.Fatal(got)
	}
	check(t, client.AlterNamespace(ctx, "ns", hearth.NamespaceChange{TTL: &two}))
	if got := ttl(); got != two {
		t.Fatal(got)
	}
	check(t, client.AlterNamespace(ctx, "ns", hearth.NamespaceChange{TTL: &none}))
	if got := ttl(); got != 0 {
		t.Fatal(got)
	}
}

func TestAdministrationErrors(t *testing.T) {
	ctx := context.Background()
	client := hearthtest.Start(t).Dial(t)
	createNamespace(t, client, "there", hearth.NamespaceSettings{})
	huge, less := uint64(1)<<50, -time.Second
	_, exists := client.CreateNamespace(ctx, "there", hearth.NamespaceSettings{})
	_, name := client.CreateNamespace(ctx, "no good name", hearth.NamespaceSettings{})
	_, quota := client.CreateNamespace(ctx, "huge", hearth.NamespaceSettings{QuotaMin: huge})
	cases := []struct {
		name string
		err  error
		want error
		code hearth.Code
	}{
		{"exists", exists, hearth.ErrExists, hearth.CodeAlreadyExists},
		{"name", name, nil, hearth.CodeInvalidArgument},
		{"quota", quota, hearth.ErrStoreFull, hearth.CodeResourceExhausted},
		{"alter", client.AlterNamespace(ctx, "nobody", hearth.NamespaceChange{}), hearth.ErrUnknownNamespace, hearth.CodeNotFound},
		{"drop", client.DropNamespace(ctx, "nobody"), hearth.ErrUnknownNamespace, hearth.CodeNotFound},
		{"TTL", client.AlterNamespace(ctx, "there", hearth.NamespaceChange{TTL: &less}), hearth.ErrInvalidTTL, hearth.CodeInvalidArgument},
		{"promise", client.AlterNamespace(ctx, "there", hearth.NamespaceChange{QuotaMin: &huge}), hearth.ErrStoreFull, hearth.CodeResourceExhausted},
	}
	for _, c := range cases {
		var e *hearth.Error
		if !errors.As(c.err, &e) || e.Code != c.code || c.want != nil && !errors.Is(c.err, c.want) || e.Execution != hearth.NotStarted {
			t.Errorf("%s: %v", c.name, c.err)
		}
	}
}
