package hearthtest_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	hearth "github.com/hearthd/hearth/go-binding"
	"github.com/hearthd/hearth/go-binding/hearthtest"
)

func TestStart(t *testing.T) {
	daemon := hearthtest.Start(t, hearthtest.WithNamespace("users", `ttl = "5m"`))
	client := daemon.Dial(t)
	users, err := client.Namespace("users")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for i := range 100 {
		key := fmt.Sprint("key", i)
		if err := users.Set(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
		if got, err := users.Get(ctx, key); err != nil || !bytes.Equal(got, []byte(key)) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if got, err := client.Call(ctx, "hearth.echo", nil, []byte("hello")); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	var _ *hearth.Client = client
}
