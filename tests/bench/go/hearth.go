package main

import (
	"context"
	"fmt"
	"time"

	hearth "github.com/hearthd/hearth/go-binding"
)

// dialHearth connects to the suite's hearthd and opens its namespace.
func dialHearth(env *Env, options ...hearth.Option) (*hearth.Client, *hearth.Namespace, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	options = append(options, hearth.WithSocket(env.Address[hearthd]), hearth.WithName("bench"))
	client, err := hearth.Dial(ctx, options...)
	if err != nil {
		return nil, nil, err
	}
	namespace, err := client.NamespaceContext(ctx, "default")
	if err != nil {
		client.Close()
		return nil, nil, err
	}
	return client, namespace, nil
}

// fill stores a value under each key. The suite's limit bounds it.
func fill(client *hearth.Client, namespace *hearth.Namespace, keys []string, value []byte) error {
	ctx := context.Background()
	for _, key := range keys {
		if err := namespace.SetAsync(ctx, key, value); err != nil {
			return fmt.Errorf("storing %s: %w", key, err)
		}
	}
	return client.Flush(ctx)
}

// hearthLoop reads one key.
func hearthLoop(namespace *hearth.Namespace, key string, size int) Loop {
	buffer := make([]byte, 0, size)
	return func(n int) error {
		var err error
		for range n {
			if buffer, _, err = namespace.GetAppend(buffer[:0], key); err != nil {
				return err
			}
		}
		return checkLength(buffer, size)
	}
}

// checkLength keeps a loop from measuring something that is not there.
func checkLength(value []byte, size int) error {
	if len(value) != size {
		return fmt.Errorf("a value of %d bytes instead of %d", len(value), size)
	}
	return nil
}
