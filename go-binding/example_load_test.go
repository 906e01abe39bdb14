package hearth_test

import (
	"context"
	"fmt"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

// Of all processes of the host, one asks the database; the others wait for its answer.
func ExampleNamespace_GetOrLoad() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	var buffer []byte
	for range 3 {
		value, _, err := users.GetOrLoad(ctx, buffer[:0], "load-42", func(_ context.Context, key string) ([]byte, error) {
			fmt.Println("ask the database for", key)
			return []byte("Anna"), nil
		}, hearth.TTL(time.Hour), hearth.SoftTTL(time.Minute), hearth.Jitter(0.1), hearth.NegativeTTL(time.Second))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", value)
		buffer = value
	}
	// Output:
	// ask the database for load-42
	// Anna
	// Anna
	// Anna
}

// Values of a Go type, as JSON.
func ExampleTyped() {
	ctx := context.Background()
	namespace, done := users(ctx)
	defer done()
	type User struct{ Name, Mail string }
	users := hearth.NewTyped(namespace, hearth.JSON[User]())
	user, _, err := users.GetOrLoad(ctx, "typed-42", func(context.Context, string) (User, error) {
		return User{"Anna", "anna@example.org"}, nil
	}, hearth.TTL(time.Hour))
	fmt.Println(user, err)
	stored, err := namespace.Get(ctx, "typed-42")
	fmt.Printf("%s %v\n", stored, err)
	// Output:
	// {Anna anna@example.org} <nil>
	// {"Name":"Anna","Mail":"anna@example.org"} <nil>
}
