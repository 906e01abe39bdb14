package hearth

import (
	"os"
	"path/filepath"
	"time"
)

// Version is the version of this client, shown by `hearth status`.
const Version = "0.1.0"

// systemSocket is where hearthd listens as a system service.
const systemSocket = "/run/hearth/hearthd.sock"

type config struct {
	socket, name, store         string
	channels                    int
	requestBytes, responseBytes int
	controlTimeout              time.Duration
	populateBytes               uint64
	viewTrace                   bool
}

// defaultControlTimeout is long for a daemon that answers in microseconds, and short for a person.
const defaultControlTimeout = 5 * time.Second

// Option configures [Dial].
type Option func(*config)

// WithSocket sets the path of hearthd's socket. Without it, Dial takes $HEARTH_SOCKET, then
// $XDG_RUNTIME_DIR/hearth/hearthd.sock if that exists, then /run/hearth/hearthd.sock.
func WithSocket(path string) Option { return func(c *config) { c.socket = path } }

// WithName sets the name that `hearth status` shows; by default that of the executable. At most 63
// bytes are kept.
func WithName(name string) Option { return func(c *config) { c.name = name } }

// WithStore chooses a store by name; by default hearthd's default store.
func WithStore(name string) Option { return func(c *config) { c.store = name } }

// WithChannels sets how many channels to ask for, 1 to 16; by default the smaller of GOMAXPROCS and
// 4. Requests of one channel are executed one after the other.
func WithChannels(n int) Option { return func(c *config) { c.channels = n } }

// WithRingBytes sets how large the rings of each channel shall be, from 16 KiB to what hearthd
// allows; rounded up to a power of two. 0 is hearthd's default, 64 KiB. Messages longer than a
// quarter of the ring are sent in parts, and the response ring bounds how many requests are in
// flight: three quarters of it, 512 bytes each.
func WithRingBytes(request, response int) Option {
	return func(c *config) { c.requestBytes, c.responseBytes = request, response }
}

// WithControlTimeout sets how long [Dial], [Client.Namespace] and the first [Client.Call] of a method
// wait for hearthd's answer when their context has no deadline; by default 5 seconds. The error then
// is ErrNotRunning. Not positive: they wait as long as hearthd takes.
func WithControlTimeout(d time.Duration) Option { return func(c *config) { c.controlTimeout = d } }

// WithPopulate makes the first limit bytes of the store present in this process after [Dial], in the
// background; by default none. Otherwise the first read of each page of 4 KiB is a page fault, which
// takes half a microsecond or more. The price is about 2 MiB of page tables and a quarter of a second
// of one CPU for each GiB; [Client.Close] ends it early.
func WithPopulate(limit uint64) Option { return func(c *config) { c.populateBytes = limit } }

// WithViewTrace lets the client note where each [View] is made, for [Client.ViewPlaces] and the tests that
// look for leaks; HEARTH_VIEW_TRACE=1 in the environment does the same. Each View then costs an
// allocation and about a microsecond.
func WithViewTrace() Option { return func(c *config) { c.viewTrace = true } }

func newConfig(options []Option) config {
	c := config{name: filepath.Base(os.Args[0]), controlTimeout: defaultControlTimeout,
		viewTrace: os.Getenv("HEARTH_VIEW_TRACE") == "1"}
	for _, option := range options {
		option(&c)
	}
	if c.socket == "" {
		c.socket = defaultSocket()
	}
	return c
}

func defaultSocket() string {
	if path := os.Getenv("HEARTH_SOCKET"); path != "" {
		return path
	}
	if directory := os.Getenv("XDG_RUNTIME_DIR"); directory != "" {
		path := filepath.Join(directory, "hearth", "hearthd.sock")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return systemSocket
}
