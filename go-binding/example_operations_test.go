package hearth_test

import (
	"context"
	"fmt"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

// users is what a program gets from Dial and Client.Namespace.
func users(ctx context.Context) (*hearth.Namespace, func()) {
	client, err := hearth.Dial(ctx)
	if err != nil {
		panic(err)
	}
	namespace, err := client.Namespace("users")
	if err != nil {
		panic(err)
	}
	return namespace, func() { _ = client.Close() }
}

// Of all processes that add a key, one succeeds: until the TTL ends, the work is its own.
func ExampleNamespace_Add() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	for _, me := range []string{"anna", "ben"} {
		_, err := users.Add(ctx, "nightly-report", []byte(me), hearth.TTL(time.Minute))
		switch err {
		case nil:
			fmt.Println(me, "does it")
		case hearth.ErrExists:
			fmt.Println(me, "leaves it to the other")
		default:
			fmt.Println(err)
		}
	}
	// Output:
	// anna does it
	// ben leaves it to the other
}

// What nobody has cached is not worth a place in the cache.
func ExampleNamespace_Replace() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	_ = users.Set(ctx, "cached", []byte("old"))
	for _, key := range []string{"cached", "not cached"} {
		_, err := users.Replace(ctx, key, []byte("new"))
		fmt.Println(key, err)
	}
	// Output:
	// cached <nil>
	// not cached hearth: no such key
}

// A change that depends on the value, of which no concurrent change is lost.
func ExampleNamespace_CompareAndSwap() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	_ = users.Set(ctx, "roles", []byte("reader"))
	var buffer []byte
	for {
		value, meta, err := users.GetAppend(buffer[:0], "roles")
		if err != nil {
			fmt.Println(err)
			return
		}
		buffer = append(value, " writer"...)
		_, err = users.CompareAndSwap(ctx, "roles", meta.Version, buffer)
		if err == hearth.ErrVersionMismatch {
			continue // somebody was faster
		}
		fmt.Printf("%s %v\n", buffer, err)
		return
	}
	// Output: reader writer <nil>
}

// A limit of requests per minute for all processes of the host.
func ExampleNamespace_Increment() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	for range 4 {
		n, _, err := users.Increment(ctx, "requests of 42", 1, hearth.Initial(0, hearth.TTL(time.Minute)))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n, n <= 3)
	}
	// Output:
	// 1 true
	// 2 true
	// 3 true
	// 4 false
}

func ExampleNamespace_Decrement() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	_ = users.Set(ctx, "places", []byte("2"))
	left, _, err := users.Decrement(ctx, "places", 1)
	fmt.Println(left, err)
	// Output: 1 <nil>
}

func ExampleNamespace_Append() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	_ = users.Set(ctx, "visits", []byte("home"))
	_, err := users.Append(ctx, "visits", []byte(",search"))
	value, _ := users.Get(ctx, "visits")
	fmt.Printf("%s %v\n", value, err)
	// Output: home,search <nil>
}
