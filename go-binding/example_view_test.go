package hearth_test

import (
	"context"
	"fmt"
	"hash/crc32"

	hearth "github.com/hearthd/hearth/go-binding"
)

// A checksum of a large value, without a copy of it.
func ExampleNamespace_View() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	_ = users.Set(ctx, "picture", make([]byte, 100_000))
	for {
		view, err := users.View("picture")
		if err != nil {
			fmt.Println(err)
			return
		}
		sum := crc32.ChecksumIEEE(view.Bytes())
		if view.Release() != nil {
			continue // the memory was taken meanwhile, and the sum may be of anything
		}
		fmt.Printf("%08x\n", sum)
		return
	}
	// Output: d411957d
}

func ExampleNamespace_Scan() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	for i := range 3 {
		_ = users.Set(ctx, fmt.Sprint("session:", i), []byte("open"))
	}
	open := 0
	for entry, err := range users.Scan(hearth.Prefix("session:")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if string(entry.Value()) == "open" {
			open++
		}
	}
	fmt.Println(open)
	// Output: 3
}

// Pages of keys, each perhaps for another request of the same user.
func ExampleScanner_Cursor() {
	ctx := context.Background()
	users, done := users(ctx)
	defer done()
	for i := range 5 {
		_ = users.Set(ctx, fmt.Sprint("page:", i), nil)
	}
	cursor, pages := "", 0
	for {
		scan, err := users.Scanner(hearth.Prefix("page:"), hearth.KeysOnly(), hearth.FromCursor(cursor))
		if err != nil {
			fmt.Println(err)
			return
		}
		n := 0
		for n < 2 && scan.Next() {
			n++
		}
		if n == 0 {
			break
		}
		pages++
		cursor = scan.Cursor()
	}
	fmt.Println(pages)
	// Output: 3
}
