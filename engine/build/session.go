package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"

	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// callback is the connection on which the engine asks this machine for files,
// secrets, credentials and agents while one build runs. It stands in for
// session.Session.Run for two reasons: a panic in what it serves ends the build and
// not the program, and nothing is logged to stderr, where net/http's server writes.
//
// There is one per build: the engine keeps what it read of a folder for as long as a session lasts,
// so that a second build on it would not see a change.
type callback struct {
	srv  *grpc.Server
	wait sync.WaitGroup
}

// openCallback dials the engine and serves until close. The shared key has to be printable ASCII.
func openCallback(
	ctx context.Context, d Dial, id, sharedKey string, serve []session.Attachable,
) (*callback, error) {
	c := &callback{srv: grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcerrors.UnaryServerInterceptor, recoverUnary),
		grpc.ChainStreamInterceptor(grpcerrors.StreamServerInterceptor, recoverStream),
		grpc.WriteBufferSize(1<<20),
	)}
	grpc_health_v1.RegisterHealthServer(c.srv, health.NewServer())
	for _, a := range serve {
		a.Register(c.srv)
	}
	meta := map[string][]string{
		"X-Docker-Expose-Session-Uuid":      {id},
		"X-Docker-Expose-Session-Sharedkey": {sharedKey},
	}
	for name, svc := range c.srv.GetServiceInfo() {
		for _, m := range svc.Methods {
			meta["X-Docker-Expose-Session-Grpc-Method"] = append(
				meta["X-Docker-Expose-Session-Grpc-Method"], session.MethodURL(name, m.Name))
		}
	}
	conn, err := d(ctx, "/session", "h2c", meta)
	if err != nil {
		return nil, status.Error(codes.Unavailable, fmt.Sprintf("dial /session: %v", err))
	}
	l := &oneConn{conn: conn, closed: make(chan struct{})}
	c.wait.Go(func() {
		// It ends by close, or when the engine hangs up, which the solve notices by itself.
		_ = c.srv.Serve(l)
	})
	return c, nil
}

func (c *callback) close() {
	c.srv.Stop()
	c.wait.Wait()
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	mu     sync.Mutex
	conn   net.Conn // nil once accepted
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	<-l.closed
	return nil, io.EOF
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	l.mu.Lock()
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn != nil {
		return conn.Close()
	}
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "session", Net: "unix"} }

func recoverUnary(
	ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler,
) (resp any, err error) {
	defer recovered(&err)
	return h(ctx, req)
}

func recoverStream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) (err error) {
	defer recovered(&err)
	return h(srv, s)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = errors.Join(*err, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
}
