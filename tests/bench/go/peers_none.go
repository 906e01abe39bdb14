//go:build !peers

package main

import "errors"

// Third-party peers are built with -tags peers, which needs their modules. Without, everything else
// runs all the same.
const havePeers = false

const noPeers = "built without third-party peers (their modules could not be had)"

var errNoPeers = errors.New(noPeers)

func cachePeers(string, []byte) ([]cachePeer, error) { return nil, nil }

func serveGRPC(string) error { return errNoPeers }

func serveShmipc(string) error { return errNoPeers }

func dialGRPC(string) (echoer, error) { return nil, errNoPeers }

func dialShmipc(string) (echoer, error) { return nil, errNoPeers }
