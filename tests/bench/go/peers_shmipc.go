//go:build peers

package main

import (
	"io"
	"net"
	"time"

	"github.com/cloudwego/shmipc-go"
)

// silent is the level at which the library logs nothing: it warns about ordinary connections.
const silent = 5

func shmipcServe(conn net.Conn) error {
	config := shmipc.DefaultConfig()
	config.LogOutput = io.Discard
	session, err := shmipc.Server(conn, config)
	if err != nil {
		return err
	}
	defer session.Close()
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return err
		}
		go shmipcEchoStream(stream)
	}
}

func shmipcEchoStream(stream *shmipc.Stream) {
	defer stream.Close()
	for {
		request, err := stream.BufferReader().ReadBytes(valueSize)
		if err != nil {
			return
		}
		if _, err := stream.BufferWriter().WriteBytes(request); err != nil {
			return
		}
		stream.BufferReader().ReleasePreviousRead()
		if stream.Flush(false) != nil {
			return
		}
	}
}

func serveShmipc(address string) error {
	shmipc.SetLogLevel(silent)
	listener, err := net.Listen("unix", address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		// Whoever only tries whether somebody listens is gone at once.
		go func() { _ = shmipcServe(conn) }()
	}
}

type shmipcClient struct {
	manager *shmipc.SessionManager
	stream  *shmipc.Stream
}

// dialShmipc uses memory files, as the project's own examples and benchmarks do.
func dialShmipc(address string) (echoer, error) {
	shmipc.SetLogLevel(silent)
	config := shmipc.DefaultSessionManagerConfig()
	config.Network, config.Address = "unix", address
	config.MemMapType = shmipc.MemMapTypeMemFd
	config.SessionNum = 1
	config.LogOutput = io.Discard
	config.InitializeTimeout = 10 * time.Second
	manager, err := shmipc.NewSessionManager(config)
	if err != nil {
		return nil, err
	}
	stream, err := manager.GetStream()
	if err != nil {
		manager.Close()
		return nil, err
	}
	return &shmipcClient{manager, stream}, nil
}

func (c *shmipcClient) echo(dst, request []byte) ([]byte, error) {
	if _, err := c.stream.BufferWriter().WriteBytes(request); err != nil {
		return dst, err
	}
	if err := c.stream.Flush(false); err != nil {
		return dst, err
	}
	response, err := c.stream.BufferReader().ReadBytes(len(request))
	dst = append(dst, response...)
	c.stream.BufferReader().ReleasePreviousRead()
	return dst, err
}

func (c *shmipcClient) close() {
	c.stream.Close()
	c.manager.Close()
}
