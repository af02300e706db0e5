package memory

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"bulkhead/engine/container"
)

// Exec implements container.Runtime: the command's first word names the program.
func (e *engine) Exec(ctx context.Context, id string, o container.ExecOptions) (int, error) {
	if err := e.faults.enter(ctx, "Exec", id); err != nil {
		return 0, err
	}
	what := "exec in " + short(id)
	e.mu.Lock()
	b, err := e.box("exec in", id)
	var l *life
	if err == nil {
		if l = b.life; !b.running() || b.in.State == container.StatePaused {
			err = conflict("%s: it is %s", what, b.in.State)
		}
	}
	e.mu.Unlock()
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	out := func(stream container.Stream, text string) {
		w := o.Stdout
		if stream == container.Stderr && !o.TTY {
			w = o.Stderr
		}
		mu.Lock()
		defer mu.Unlock()
		if w != nil {
			_, _ = io.WriteString(w, text) // a program does not notice that nobody reads
		}
	}
	code, err := e.run(ctx, b, l, o.Cmd, o.Env, o.Stdin, out)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return code, nil
}

// run runs a program beside a container's first process, until it ends, the life
// ends, or ctx does. A command that is not known ends with 127 as in a shell.
func (e *engine) run(ctx context.Context, b *box, l *life, cmd, env []string, stdin io.Reader,
	out func(container.Stream, string)) (int, error) {
	e.mu.Lock()
	prog, ok := e.program(cmd)
	e.mu.Unlock()
	if !ok {
		out(container.Stdout,
			fmt.Sprintf("OCI runtime exec failed: exec failed: %q: executable file not found in $PATH\n", strings.Join(cmd, " ")))
		return 127, nil
	}
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	killed := make(chan struct{})
	p := &Process{Args: cmd, Env: append(append([]string{}, b.env...), env...), Stdin: stdin,
		Signals: make(chan string), Killed: killed,
		e: e, box: b, life: l, outcome: &outcome{}}
	p.out = out
	code := make(chan int, 1)
	e.running.Go(func() { code <- prog.Run(p) })
	select {
	case n := <-code:
		return n, nil
	case <-l.ended:
		close(killed)
		<-code
		return 128 + 9, nil
	case <-ctx.Done():
	case <-e.closed:
	}
	close(killed)
	<-code
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return 0, errCut
}
