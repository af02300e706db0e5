package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

type attachVerb struct {
	target
	keys         string
	noStdin      bool
	proxySignals bool
}

func (v *attachVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "attach SERVICE",
		Short: "Connect to the input and output of a service's first process",
		Long: `Connect to the input and output of the first process of a service's container. The exit code is the process's; on a
terminal ctrl+p ctrl+q leaves it running.`,
		Args:              between(1, 1, "one service"),
		ValidArgsFunction: v.app.loader.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.service, v.oneOffs = args[0], true
			return v.run(cmd.Context())
		},
	}
	fs := c.Flags()
	v.addIndex(c)
	fs.StringVar(&v.keys, "detach-keys", "", "`keys` that leave it running, as ctrl-x,ctrl-y")
	fs.BoolVar(&v.noStdin, "no-stdin", false, "do not connect stdin")
	fs.BoolVar(&v.proxySignals, "sig-proxy", true, "hand signals on to the process")
	return c
}

func (v *attachVerb) run(ctx context.Context) error {
	s, err := v.one(ctx)
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	if s.State != "running" {
		return fmt.Errorf("attach %s: it is %s; `bulkhead start %s` lets it run", s.Name, s.State, v.service)
	}
	in, err := v.app.conn.rt.Inspect(ctx, s.ID)
	if err != nil {
		return err
	}
	if v.app.would("attach to %s", s.Name) {
		return nil
	}
	out := v.app.console
	if _, isIn := terminal(out.stdin); in.TTY && !v.noStdin && !isIn {
		return fmt.Errorf("attach %s: it has a terminal, and stdin is not one; write --no-stdin", s.Name)
	}
	f := container.Completed(v.app.conn.rt)
	streams := container.Streams{Stdout: unguarded(out.stdout), Stderr: unguarded(out.stderr),
		DetachKeys: v.keys}
	if !v.noStdin {
		streams.Stdin = out.stdin
	}
	left := &insistence{} // a second signal leaves a process that ignored the first
	if v.proxySignals && !in.TTY {
		on, cancel := outliving(ctx)
		defer cancel()
		ctx, left.again = on, cancel
		left.send = deliver(func(sig os.Signal) error { return v.app.conn.rt.Kill(on, s.ID, signalName(sig)) })
		defer v.app.interrupts.forward(left.take)()
	}
	code, err := out.onTerminal(ctx, in.TTY && !v.noStdin, func(sizes <-chan engine.Size) (int, error) {
		streams.Resize = sizes
		return f.Foreground(ctx, s.ID, streams, nil)
	})
	switch {
	case err != nil && ctx.Err() != nil && left.code() != 0:
		return &exit{code: left.code()}
	case errors.Is(err, container.ErrDetached) || err != nil && ctx.Err() != nil:
		return nil // it was left, and runs on
	case err != nil:
		return container.WrapErr(err, "attach %s", s.Name)
	case code != 0:
		return &exit{code: code}
	}
	return nil
}
