package hearth_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

func Example() {
	ctx := context.Background()
	client, err := hearth.Dial(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	users, err := client.Namespace("users")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := users.Set(ctx, "42", []byte("Ada"), hearth.TTL(time.Hour)); err != nil {
		fmt.Println(err)
		return
	}
	name, err := users.Get(ctx, "42")
	fmt.Printf("%s %v\n", name, err)
	_, err = users.Get(ctx, "43")
	fmt.Println(err)
	// Output:
	// Ada <nil>
	// hearth: no such key
}

// A loop that reads without allocating: the buffer is used again and again.
func ExampleNamespace_GetAppend() {
	ctx := context.Background()
	client, err := hearth.Dial(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	users, _ := client.Namespace("users")
	_ = users.Set(ctx, "ada", []byte("Lovelace"), hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute))
	var buffer []byte
	for _, key := range []string{"ada", "nobody"} {
		value, meta, err := users.GetAppend(buffer[:0], key)
		switch {
		case err == hearth.ErrNotFound:
			fmt.Println(key, "is not there")
			continue
		case err != nil:
			fmt.Println(err)
			return
		}
		buffer = value
		fmt.Printf("%s: %s, stale: %v\n", key, value, meta.Stale)
	}
	// Output:
	// ada: Lovelace, stale: false
	// nobody is not there
}

func ExampleNamespace_GetMulti() {
	ctx := context.Background()
	client, err := hearth.Dial(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	users, _ := client.Namespace("users")
	_ = users.Set(ctx, "1", []byte("one"))
	_ = users.Set(ctx, "2", []byte("two"))
	items := []hearth.Item{{Key: "1"}, {Key: "2"}, {Key: "three"}}
	users.GetMulti(nil, items)
	for _, item := range items {
		fmt.Printf("%q %v\n", item.Value, item.Err)
	}
	// Output:
	// "one" <nil>
	// "two" <nil>
	// "" hearth: no such key
}

// Filling the cache: nobody waits for single answers, and Flush tells what failed.
func ExampleClient_Flush() {
	ctx := context.Background()
	client, err := hearth.Dial(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	users, _ := client.Namespace("users")
	for i := range 10000 {
		if err := users.SetAsync(ctx, fmt.Sprint("user", i), []byte("...")); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(client.Flush(ctx))
	// Output: <nil>
}

func ExampleClient_Call() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := hearth.Dial(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	answer, err := client.Call(ctx, "hearth.echo", nil, []byte("hello"))
	fmt.Printf("%s %v\n", answer, err)
	_, err = client.Call(ctx, "nobody.nothing", nil, nil)
	fmt.Println(errors.Is(err, hearth.ErrUnknownMethod))
	// Output:
	// hello <nil>
	// true
}

// Whether to try again is decided by Execution, not by the kind of error.
func ExampleError() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client, err := hearth.Dial(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	cancel()
	_, err = client.Call(ctx, "hearth.echo", nil, []byte("hello"))
	var e *hearth.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, e.Execution, errors.Is(err, context.Canceled))
	}
	// Output: CANCELLED not started true
}
