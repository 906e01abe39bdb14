package hearth_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	hearth "github.com/hearthd/hearth/go-binding"
)

// childEnv makes the test binary a process that takes a lease and keeps it.
const childEnv = "HEARTH_TEST_HOLD_LEASE"

// holdLease is that process. It says "loading" when it loads, and never ends by itself.
func holdLease(key string) {
	client, err := hearth.Dial(background)
	if err != nil {
		fmt.Println(err)
		return
	}
	ns, err := client.Namespace("default")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = ns.GetOrLoad(background, nil, key, func(context.Context, string) ([]byte, error) {
		fmt.Println("loading")
		select {}
	})
	fmt.Println(err)
}

func TestALeaseDiesWithItsProcess(t *testing.T) {
	daemon, _, ns := start(t)
	self, err := os.Executable()
	check(t, err)
	child := exec.Command(self, "-test.run=^$")
	child.Env = append(os.Environ(), childEnv+"=k", "HEARTH_SOCKET="+daemon.Socket())
	output, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	defer func() { _ = child.Wait() }()
	defer func() { _ = child.Process.Kill() }()
	line, err := bufio.NewReader(output).ReadString('\n')
	if line != "loading\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	waiting := getOrLoad(background, ns, "k", returns("mine"))
	check(t, child.Process.Kill())
	(<-waiting).want(t, "mine", nil)
	wantValue(t, ns, "k", "mine")
}

// Values that do not fit a ring travel in parts, to who fills them in and to who waits for them.
func TestLongValuesReachWhoWaits(t *testing.T) {
	_, a, b := two(t)
	long := strings.Repeat("0123456789abcdef", 25_000)
	first := beginLoad(background, a, "k")
	here := join(a, "k", mustNotLoad(t))
	there := getOrLoad(background, b, "k", mustNotLoad(t))
	first.finish(long, nil).want(t, long, nil)
	(<-here).want(t, long, nil)
	(<-there).want(t, long, nil)
}

// Were all of a channel's credit held by requests that wait for others, nothing that the others wait for
// could be sent.
func TestWaitingLeavesRoomForOtherRequests(t *testing.T) {
	daemon, _, _ := start(t)
	narrow := []hearth.Option{hearth.WithChannels(1), hearth.WithRingBytes(16<<10, 16<<10)}
	a := namespace(t, daemon.Dial(t, narrow...), "default")
	b := namespace(t, daemon.Dial(t, narrow...), "default")
	const keys = 100
	var holds [2 * keys]*loading
	for i := range holds {
		holds[i] = beginLoad(background, []*hearth.Namespace{a, b}[i%2], fmt.Sprint(i))
	}
	// Each waits for all that the other one loads.
	var waits [2 * keys]<-chan loaded
	for i := range waits {
		waits[i] = getOrLoad(background, []*hearth.Namespace{b, a}[i%2], fmt.Sprint(i), returns("own"))
	}
	for _, ns := range []*hearth.Namespace{a, b} {
		check(t, ns.Set(background, "other", nil))
	}
	for _, hold := range holds {
		hold.finish("filled", nil).want(t, "filled", nil)
	}
	own := 0
	for i := range waits {
		outcome := <-waits[i]
		if outcome.value == "own" {
			own++
		} else {
			outcome.want(t, "filled", nil)
		}
		wantValue(t, a, fmt.Sprint(i), "filled")
	}
	if own == 2*keys {
		t.Error("nobody has waited")
	}
}
