package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/tonistiigi/fsutil/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"bulkhead/engine/container"
)

// callback is the connection on which the engine asks this machine for files,
// secrets, credentials and agents while one build runs. It stands in for
// session.Session.Run for two reasons: a panic in what it serves ends the build and
// not the program, and nothing is logged to stderr, where net/http's server writes.
//
// The zero value serves nothing. There is one per build: the engine keeps what it read of a folder for
// as long as a session lasts, so that a second build on it would not see a change.
type callback struct {
	srv  *grpc.Server
	wait sync.WaitGroup
	// refused is why something was not sent: the engine returns no more of it than a text.
	refused atomic.Pointer[error]
}

// openCallback dials the engine and serves until close. The shared key has to be printable ASCII.
func openCallback(
	ctx context.Context, d Dial, id, sharedKey string, serve []session.Attachable,
) (*callback, error) {
	c := &callback{}
	c.srv = grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcerrors.UnaryServerInterceptor, recoverUnary),
		grpc.ChainStreamInterceptor(grpcerrors.StreamServerInterceptor, recoverStream, c.vetNames),
		grpc.WriteBufferSize(1<<20),
	)
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
	if c.srv == nil {
		return
	}
	c.srv.Stop()
	c.wait.Wait()
}

// why is what was not sent and why; nil where all was.
func (c *callback) why() error {
	if err := c.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// vetNames has a name of a file that gRPC cannot send said as what it is.
func (c *callback) vetNames(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	return h(srv, &vettedStream{s, c})
}

// vettedStream is a stream that refuses the files whose names are not UTF-8.
type vettedStream struct {
	grpc.ServerStream
	c *callback
}

func (v *vettedStream) SendMsg(m any) error {
	if p, ok := m.(*types.Packet); ok && p.Stat != nil {
		if err := sendable(p.Stat); err != nil {
			v.c.refused.CompareAndSwap(nil, &err)
			return err
		}
	}
	return v.ServerStream.SendMsg(m)
}

// sendable says what is wrong with the name of a file of a build context, or with what it links to.
func sendable(st *types.Stat) error {
	const remedy = "add it to .dockerignore, or rename it"
	switch {
	case !utf8.ValidString(st.Path):
		return container.WithRemedy(fmt.Errorf("build context: the name %q is not UTF-8, which builds need", st.Path),
			remedy)
	case !utf8.ValidString(st.Linkname):
		return container.WithRemedy(fmt.Errorf("build context: %s is a link to %q, which is not UTF-8, as builds need",
			st.Path, st.Linkname), remedy)
	}
	return nil
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
