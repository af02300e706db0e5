package conformance

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

var execCases = []Case{
	{Name: "an exec returns its exit code and its output", Run: execs},
	{Name: "an exec ends with its context", Run: execContext},
	{Name: "secrets and configs are there before the start", Run: contents},
	{Name: "a port that nobody listens on refuses", Run: refuses},
	{Name: "a container that runs has readings", Run: readings},
}

func execs(t *testing.T, h Harness) {
	b := open(t, h)
	s := b.spec("web", waits())
	id := b.create(s)
	_, err := b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: []string{"true"}})
	b.is("exec in what never ran", err, container.ErrConflict)
	b.ok(b.rt.Start(b.ctx, s, id))
	for _, one := range []struct {
		code int
		out  string
		cmd  []string
	}{
		{0, "", []string{"true"}}, {1, "", []string{"false"}}, {0, "a b\n", []string{"echo", "a", "b"}},
		{7, "said\n", b.Command(Program{Out: []string{"said"}, Exits: true, Code: 7})},
	} {
		if out, code := b.exec(id, one.cmd...); out != one.out || code != one.code {
			b.Errorf("%v: %q, %d; want %q, %d", one.cmd, out, code, one.out, one.code)
		}
	}
	var out, errs bytes.Buffer
	code, err := b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: b.Command(Program{Out: []string{"out"},
		Err: []string{"err"}, Exits: true}), Stdout: &out, Stderr: &errs})
	if err != nil || code != 0 || out.String() != "out\n" || errs.String() != "err\n" {
		b.Errorf("streams: %d, %v, %q, %q", code, err, out.String(), errs.String())
	}
	code, err = b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: []string{"/no/such/program"}})
	if err == nil && code < 126 {
		b.Errorf("a program that is not there ended with %d", code)
	}
	b.ok(b.rt.Kill(b.ctx, id, "KILL"))
	b.ended(id)
	_, err = b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: []string{"true"}})
	b.is("exec in what has ended", err, container.ErrConflict)
}

func execContext(t *testing.T, h Harness) {
	b := open(t, h)
	id := b.start("web", waits())
	ctx, cancel := context.WithCancel(b.ctx)
	ready := &signalWriter{seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		_, err := b.rt.Exec(ctx, id, container.ExecOptions{Cmd: b.Command(handlesNoSignal()), Stdout: ready})
		ended <- err
	}()
	<-ready.seen
	cancel()
	b.is("exec", <-ended, context.Canceled)
}

// signalWriter closes seen at its first write.
type signalWriter struct {
	seen chan struct{}
	done bool
}

func (w *signalWriter) Write(p []byte) (int, error) {
	if !w.done {
		w.done = true
		close(w.seen)
	}
	return len(p), nil
}

func contents(t *testing.T, h Harness) {
	b := open(t, h)
	b.app.Environment["CONFORMANCE_TOKEN"] = "t0ken"
	b.app.Secrets["token"] = types.SecretConfig{Environment: "CONFORMANCE_TOKEN"}
	b.app.Configs["text"] = types.ConfigObjConfig{Content: "a=b"}
	id := b.start("web", waits(), func(c *types.ServiceConfig) {
		c.Secrets = []types.ServiceSecretConfig{{Source: "token"}}
		c.Configs = []types.ServiceConfigObjConfig{{Source: "text", Target: "/etc/app.conf"}}
	})
	if out, code := b.exec(id, "cat", "/run/secrets/token", "/etc/app.conf"); out != "t0kena=b" || code != 0 {
		b.Errorf("its contents: %q, %d", out, code)
	}
	s := b.spec("missing", waits(), func(c *types.ServiceConfig) {
		c.Secrets = []types.ServiceSecretConfig{{Source: "other"}}
	})
	b.app.Secrets["other"] = types.SecretConfig{Environment: "CONFORMANCE_MISSING"}
	if err := b.rt.Start(b.ctx, s, b.create(s)); err == nil ||
		!strings.Contains(err.Error(), "CONFORMANCE_MISSING") {
		b.Errorf("a secret from a variable that is not set: %v", err)
	}
}

func refuses(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Dial, "Dialer") {
		return
	}
	b.app.Networks["default"] = b.network("default")
	id := b.start("web", waits(), onNetwork("default"))
	conn, err := b.rt.DialInstance(b.ctx, id, 4321)
	if err == nil {
		conn.Close()
		b.Fatal("it answers")
	}
	var op *net.OpError
	if !asError(err, &op) && !isUnsupported(err) {
		b.Errorf("dial: %v", err)
	}
}

func readings(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Meter, "Meter") {
		return
	}
	id := b.start("web", waits())
	one, err := b.rt.Stats(b.ctx, id)
	b.ok(err)
	two, err := b.rt.Stats(b.ctx, id)
	b.ok(err)
	if one.Mem <= 0 || one.Read.IsZero() || two.CPU < one.CPU || two.Read.Before(one.Read) {
		b.Errorf("readings: %+v, %+v", one, two)
	}
}
