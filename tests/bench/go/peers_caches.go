//go:build peers

package main

import (
	"bytes"
	"errors"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/maypok86/otter/v2"
)

const havePeers = true

const noPeers = ""

// cachePeers are third-party caches that hold one key.
func cachePeers(key string, value []byte) ([]cachePeer, error) {
	o, err := otterPeer(key, value)
	if err != nil {
		return nil, err
	}
	r, err := ristrettoPeer(key, value)
	return []cachePeer{o, r}, err
}

func otterPeer(key string, value []byte) (cachePeer, error) {
	cache, err := otter.New(&otter.Options[string, []byte]{MaximumSize: 10_000})
	if err != nil {
		return cachePeer{}, err
	}
	cache.Set(key, bytes.Clone(value))
	buffer := make([]byte, 0, len(value))
	return cachePeer{
		name: "otter",
		copied: func(n int) error {
			for range n {
				found, _ := cache.GetIfPresent(key)
				buffer = append(buffer[:0], found...)
			}
			return checkLength(buffer, len(value))
		},
		reference: func(n int) error {
			var found []byte
			for range n {
				found, _ = cache.GetIfPresent(key)
			}
			return checkLength(found, len(value))
		},
	}, nil
}

func ristrettoPeer(key string, value []byte) (cachePeer, error) {
	cache, err := ristretto.NewCache(&ristretto.Config[string, []byte]{NumCounters: 100_000, MaxCost: 10_000, BufferItems: 64})
	if err != nil {
		return cachePeer{}, err
	}
	if !cache.Set(key, bytes.Clone(value), 1) {
		return cachePeer{}, errors.New("ristretto refused the value")
	}
	cache.Wait()
	buffer := make([]byte, 0, len(value))
	return cachePeer{
		name: "ristretto",
		copied: func(n int) error {
			for range n {
				found, _ := cache.Get(key)
				buffer = append(buffer[:0], found...)
			}
			return checkLength(buffer, len(value))
		},
		reference: func(n int) error {
			var found []byte
			for range n {
				found, _ = cache.Get(key)
			}
			return checkLength(found, len(value))
		},
	}, nil
}
