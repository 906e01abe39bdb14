package hearth_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/hearthd/hearth/go-binding/hearthtest"
)

// TestMain starts a daemon for the examples, which dial the default socket as programs do.
func TestMain(m *testing.M) {
	if key := os.Getenv(childEnv); key != "" {
		holdLease(key)
		os.Exit(1)
	}
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	binary, err := hearthtest.Find()
	if err != nil {
		if os.Getenv("HEARTH_REQUIRE_DAEMON") == "1" {
			fmt.Println(err)
			return 1
		}
		fmt.Println("examples are skipped:", err)
		_ = flag.Set("test.skip", "^Example")
		return m.Run()
	}
	directory, err := os.MkdirTemp("", "hearth")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(directory)
	daemon, err := hearthtest.StartIn(directory, binary, hearthtest.WithNamespace("users"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer daemon.Stop()
	os.Setenv("HEARTH_SOCKET", daemon.Socket())
	return m.Run()
}
