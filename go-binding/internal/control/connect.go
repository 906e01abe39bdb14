package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// limit gives ctx a deadline if it has none. path is whose answer is waited for.
func limit(ctx context.Context, path string, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has || timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, timeout,
		fmt.Errorf("hearthd at %s did not answer within %v; %w", path, timeout, ErrNoAnswer))
}

// whyEnded is the error of a context that has ended: the caller's own, unless the deadline was limit's.
func whyEnded(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrNoAnswer) {
		return cause
	}
	return ctx.Err()
}

// connect opens the socket at path. Its errors say what is there instead of a hearthd that listens.
func connect(ctx context.Context, path string) (*net.UnixConn, error) {
	if len(path) > MaxSocketPath {
		return nil, fmt.Errorf("%w: %d bytes, at most %d: %s", ErrSocketPath, len(path), MaxSocketPath, path)
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unixpacket", path)
	// A Unix socket whose backlog is full refuses at once; many processes that start together fill it.
	for pause := time.Millisecond; errors.Is(err, syscall.EAGAIN); pause = min(2*pause, 50*time.Millisecond) {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			connection, err = dialer.DialContext(ctx, "unixpacket", path)
		case <-ctx.Done():
			timer.Stop()
			return nil, whyEnded(ctx)
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, whyEnded(ctx)
	}
	if err != nil {
		return nil, connectError(path, err)
	}
	return connection.(*net.UnixConn), nil
}

// connectError explains why connecting failed. The kernel answers ECONNREFUSED or EACCES for a file
// that is no socket at all, so a look at the file tells the cases apart.
func connectError(path string, err error) error {
	info, statError := os.Stat(path)
	switch {
	case statError == nil && info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%w: %s is %s, not a socket", ErrNotHearth, path, kindOf(info.Mode()))
	case errors.Is(err, syscall.EPROTOTYPE):
		return fmt.Errorf("%w: the socket at %s is of another type than hearthd's", ErrNotHearth, path)
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w at %s: there is no such file", ErrNotRunning, path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s: the socket is there, but nobody listens on it", ErrNotRunning, path)
	case errors.Is(err, fs.ErrPermission) && statError == nil:
		return fmt.Errorf("uid %d may not write to the socket %s (%v), which connecting needs: %w", os.Geteuid(), path,
			info.Mode(), fs.ErrPermission)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("uid %d may not look into a folder of %s: %w", os.Geteuid(), path, fs.ErrPermission)
	}
	return err
}

func kindOf(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "a regular file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeNamedPipe:
		return "a fifo"
	}
	return "a device"
}
