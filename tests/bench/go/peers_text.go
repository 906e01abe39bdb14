package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
)

// textClient speaks the plain-text protocols of Redis and memcached over a Unix socket: one buffered
// connection, no pool, no reflection, no allocation. That is the least that a client can cost, so
// it shows the servers at their best; the usual client libraries add to it.
type textClient struct {
	conn     net.Conn
	reader   *bufio.Reader
	request  []byte
	protocol textProtocol
}

type textProtocol struct {
	get    func(request []byte, key string) []byte
	set    func(request []byte, key string, value []byte) []byte
	read   func(reader *bufio.Reader, dst []byte) ([]byte, error) // the answer to a get
	stored string                                                 // to a set
}

func dialText(address string, protocol textProtocol) (*textClient, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	return &textClient{conn: conn, reader: bufio.NewReaderSize(conn, 1<<16), protocol: protocol}, nil
}

var redisProtocol = textProtocol{
	get: func(request []byte, key string) []byte {
		request = append(request, "*2\r\n$3\r\nGET\r\n"...)
		return appendBulk(request, key)
	},
	set: func(request []byte, key string, value []byte) []byte {
		request = append(request, "*3\r\n$3\r\nSET\r\n"...)
		request = appendBulk(request, key)
		return appendBulk(request, string(value))
	},
	read: func(reader *bufio.Reader, dst []byte) ([]byte, error) {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return dst, err
		}
		if line[0] != '$' || line[1] == '-' {
			return dst, fmt.Errorf("Redis answered %q", line)
		}
		return readBlock(reader, dst, line[1:], 2)
	},
	stored: "+OK\r\n",
}

var memcachedProtocol = textProtocol{
	get: func(request []byte, key string) []byte {
		request = append(append(request, "get "...), key...)
		return append(request, "\r\n"...)
	},
	set: func(request []byte, key string, value []byte) []byte {
		request = append(append(request, "set "...), key...)
		request = strconv.AppendInt(append(request, " 0 0 "...), int64(len(value)), 10)
		request = append(append(request, "\r\n"...), value...)
		return append(request, "\r\n"...)
	},
	read: func(reader *bufio.Reader, dst []byte) ([]byte, error) {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return dst, err
		}
		if !bytes.HasPrefix(line, []byte("VALUE ")) {
			return dst, fmt.Errorf("memcached answered %q", line)
		}
		return readBlock(reader, dst, line[bytes.LastIndexByte(line, ' ')+1:], len("\r\nEND\r\n"))
	},
	stored: "STORED\r\n",
}

func appendBulk(request []byte, text string) []byte {
	request = strconv.AppendInt(append(request, '$'), int64(len(text)), 10)
	request = append(append(request, "\r\n"...), text...)
	return append(request, "\r\n"...)
}

// readBlock appends as many bytes as a decimal number says and drops what follows them.
func readBlock(reader *bufio.Reader, dst, number []byte, after int) ([]byte, error) {
	size := 0
	for _, digit := range bytes.TrimRight(number, "\r\n") {
		size = size*10 + int(digit-'0')
	}
	if size > 1<<20 {
		return dst, fmt.Errorf("a value of %d bytes", size)
	}
	from := len(dst)
	dst = append(dst, make([]byte, size)...)
	if _, err := io.ReadFull(reader, dst[from:]); err != nil {
		return dst, err
	}
	_, err := reader.Discard(after)
	return dst, err
}

func (c *textClient) get(dst []byte, key string) ([]byte, error) {
	c.request = c.protocol.get(c.request[:0], key)
	if _, err := c.conn.Write(c.request); err != nil {
		return dst, err
	}
	return c.protocol.read(c.reader, dst)
}

func (c *textClient) set(key string, value []byte) error {
	c.request = c.protocol.set(c.request[:0], key, value)
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	return c.expectStored()
}

func (c *textClient) expectStored() error {
	line, err := c.reader.ReadSlice('\n')
	if err == nil && string(line) != c.protocol.stored {
		err = fmt.Errorf("a set was answered %q", line)
	}
	return err
}

// fill stores many keys, a thousand in flight.
func (c *textClient) fill(keys []string, value []byte) error {
	for len(keys) > 0 {
		batch := keys[:min(len(keys), 1000)]
		keys = keys[len(batch):]
		c.request = c.request[:0]
		for _, key := range batch {
			c.request = c.protocol.set(c.request, key, value)
		}
		if _, err := c.conn.Write(c.request); err != nil {
			return err
		}
		for range batch {
			if err := c.expectStored(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *textClient) close() { c.conn.Close() }
