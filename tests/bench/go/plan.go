package main

import "time"

// Plan is how much is measured. All of it is bounded.
type Plan struct {
	Mode   string `json:"mode"`
	Rounds int    `json:"rounds"`
	// Slice is how long one side of a closed loop is measured in one round.
	Slice time.Duration `json:"slice"`
	// Paced is the same for calls at a fixed rate, which need more time for their percentiles.
	Paced     time.Duration `json:"paced"`
	PacedRuns int           `json:"pacedRounds"`
	Keys      int           `json:"keys"`     // of the random reads
	Trips     int           `json:"trips"`    // of the ping-pong, in one round
	Sessions  int           `json:"sessions"` // of the idle daemon
	Idle      time.Duration `json:"idle"`
	Lines     int           `json:"lines"` // of the prewarm file
	StoreMiB  int           `json:"storeMiB"`
	// Patience is how long each suite may wait, in all, for other processes to leave it alone.
	Patience time.Duration `json:"patience"`
}

func planFor(mode string) (plan Plan, known bool) {
	switch mode {
	case "default":
		plan = Plan{Rounds: 5, Slice: 300 * time.Millisecond, Paced: 4 * time.Second, PacedRuns: 5, Keys: 1_000_000, Trips: 200_000, Sessions: 1000, Idle: 10 * time.Second, Lines: 1_000_000, StoreMiB: 512}
	case "full":
		plan = Plan{Rounds: 9, Slice: 500 * time.Millisecond, Paced: 8 * time.Second, PacedRuns: 7, Keys: 1_000_000, Trips: 500_000, Sessions: 1000, Idle: 10 * time.Second, Lines: 2_000_000, StoreMiB: 512}
	case "quick":
		plan = Plan{Rounds: 3, Slice: 120 * time.Millisecond, Paced: time.Second, PacedRuns: 3, Keys: 1_000_000, Trips: 50_000, Sessions: 200, Idle: 3 * time.Second, Lines: 300_000, StoreMiB: 512}
	case "smoke":
		plan = Plan{Rounds: 1, Slice: 10 * time.Millisecond, Paced: 50 * time.Millisecond, PacedRuns: 1, Keys: 10_000, Trips: 2_000, Sessions: 10, Idle: 200 * time.Millisecond, Lines: 2_000, StoreMiB: 64}
	default:
		return Plan{}, false
	}
	plan.Mode = mode
	return plan, true
}

// Env is what a suite gets to know: the plan, and where the servers are that the driver started.
type Env struct {
	Plan Plan `json:"plan"`
	// Address and process id by the server's name.
	Address map[string]string `json:"address"`
	Pid     map[string]int    `json:"pid"`
	// Missing says why a server is not there.
	Missing map[string]string `json:"missing"`
	Dir     string            `json:"dir"`   // private, removed at the end
	Build   string            `json:"build"` // of meson

	measured, disturbed int
}

// Suite is measured by a process of its own, with fresh servers.
type Suite struct {
	Name  string
	About string
	Needs []string // servers
	// Limit ends a suite that hangs.
	Limit time.Duration
	Run   func(env *Env) ([]*Row, error)
}

func suites() []Suite {
	echoServers := []string{hearthd, socketEcho, grpcEcho, shmipcEcho}
	return []Suite{
		{Name: "hot", About: "reads of one key", Needs: []string{hearthd}, Limit: time.Minute, Run: runHot},
		{Name: "random", About: "reads of random keys", Needs: []string{hearthd, redis, memcached}, Limit: 3 * time.Minute, Run: runRandom},
		{Name: "echo", About: "a call, both sides hot", Needs: echoServers, Limit: 2 * time.Minute, Run: runEcho},
		{Name: "paced", About: "calls at a fixed rate on an idle machine", Needs: echoServers, Limit: 15 * time.Minute, Run: runPaced},
		{Name: "pipelined", About: "64 goroutines at once", Needs: []string{hearthd, socketEcho, grpcEcho, redis}, Limit: 2 * time.Minute, Run: runPipelined},
		{Name: "prewarm", About: "bulk loading with the command line tool", Needs: []string{hearthd}, Limit: 2 * time.Minute, Run: runPrewarm},
		{Name: "bytes", About: "memory of small entries", Needs: []string{hearthd}, Limit: time.Minute, Run: runBytes},
		{Name: "idle", About: "sessions that do nothing", Needs: []string{hearthd}, Limit: 2 * time.Minute, Run: runIdle},
	}
}
