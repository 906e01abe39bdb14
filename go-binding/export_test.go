package hearth

import "github.com/hearthd/hearth/go-binding/internal/index"

// FrequencyOf is what the slot of a key says, without a touch. It is false for a key that is not there.
func FrequencyOf(n *Namespace, key string) (frequency uint64, found bool) {
	var meta index.Meta
	_, result := n.store.Read(nil, &n.view, key, &meta)
	return meta.Frequency(), result == index.Hit
}

// TouchesOf is how many touches a client has written.
func TouchesOf(c *Client) uint64 { return c.session.Touches().Count() }

// Joined says whether a caller of this process waits for another one's load of a key.
func Joined(n *Namespace, key string) bool {
	n.flights.mu.Lock()
	defer n.flights.mu.Unlock()
	f := n.flights.flying[key]
	return f != nil && f.shared
}

// ReadOnly is the namespace as a process has it that may not write.
func ReadOnly(n *Namespace) *Namespace {
	return &Namespace{client: n.client, store: n.store, name: n.name, view: n.view, touches: n.touches,
		pending: n.pending, maxValueBytes: n.maxValueBytes}
}
