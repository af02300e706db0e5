package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

// mute is an engine that takes every question and answers none.
type mute struct{ engine.Runtime }

func hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func (mute) Info(ctx context.Context) (i engine.Info, err error) { return i, hang(ctx) }
func (mute) Instances(ctx context.Context, _ string) ([]engine.Instance, error) {
	return nil, hang(ctx)
}
func (mute) Close() error { return nil }
func (mute) Summaries(ctx context.Context, _ container.ListOptions) ([]container.Summary, error) {
	return nil, hang(ctx)
}
func (mute) Volumes(ctx context.Context, _ string) ([]container.Volume, error) { return nil, hang(ctx) }
func (mute) Actions(ctx context.Context, _, _, _ string, _ func(container.Action)) error {
	return hang(ctx)
}
func (mute) Image(ctx context.Context, _, _ string) (i container.Image, err error) {
	return i, hang(ctx)
}
func (mute) Pull(ctx context.Context, _, _ string, _ func(container.PullProgress)) error {
	return hang(ctx)
}
func (mute) RemoveImage(ctx context.Context, _ string, _ bool) (bool, error) { return false, hang(ctx) }
func (mute) ProjectImages(ctx context.Context, _ string, _ bool) ([]string, error) {
	return nil, hang(ctx)
}
func (mute) Push(ctx context.Context, _ string, _ func(container.PullProgress)) error {
	return hang(ctx)
}
func (mute) RemoteDigest(ctx context.Context, _ string) (string, error) { return "", hang(ctx) }

// muteBuilder begins builds and never ends them.
type muteBuilder struct{}

func (muteBuilder) Build(
	ctx context.Context, _ container.BuildRequest, _ func(container.BuildProgress),
) (r container.BuildResult, err error) {
	return r, hang(ctx)
}
func (muteBuilder) Close() error { return nil }

// verbsNeedNoEngine are those that a silent engine does not hold up.
var verbsNeedNoEngine = map[string]bool{"completion": true, "help": true, "keys": true, "man": true,
	"version": true, "config": true, "trust": true}

// words are what verbs need besides their name, or more ways to ask one.
var verbWords = map[string][]string{
	"attach": {"attach a"}, "commit": {"commit a x:y"}, "cp": {"cp a:/f ."},
	"exec": {"exec -T a true"}, "export": {"export -o f a"},
	"fault": {"fault a kill", "fault --list"}, "port": {"port a 80"}, "rm": {"rm -f"},
	"run": {"run -T a true"}, "scale": {"scale a=2"}, "wait": {"wait a"},
	"up":   {"up --plain", "up --json", "up -d", "up --wait", "up --dry-run", "up --no-start"},
	"logs": {"logs", "logs -f", "logs --json"}, "ps": {"ps", "ps -a", "ps --json", "ps -q"},
	"stats":  {"stats", "stats --no-stream", "stats --all-projects"},
	"config": {"config --resolve-image-digests"}, "down": {"down", "down -v --rmi local"},
	"events": {"events", "events --json"},
}

// verbLines are command lines of all verbs that there are, those that need words of their own once
// for each way to ask them. Of the others, which says whether to ask them.
func verbLines(which func(name string) bool) (lines []string) {
	for _, c := range newApp(Parts{}).root().Commands() {
		switch more := verbWords[c.Name()]; {
		case more != nil:
			lines = append(lines, more...)
		case which(c.Name()) && !c.Hidden:
			lines = append(lines, c.Name())
		}
	}
	return lines
}

// An engine that takes connections and answers nothing is named after two seconds by every verb, which
// ends soon after: with the exit code of no engine.
func TestEveryVerbEndsWhenTheEngineIsSilent(t *testing.T) {
	t.Chdir(t.TempDir())
	const file = "name: silent\nservices:\n  a: {image: x, command: [sleep, '9'], develop: {watch: [{path: ./b, action: restart}]}}\n  b: {build: ./b, image: reg.example.com/b}\n"
	for name, text := range map[string]string{"compose.yaml": file, "b/Dockerfile": "FROM x\n"} {
		if err := os.MkdirAll("b", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range verbLines(func(name string) bool { return !verbsNeedNoEngine[name] }) {
		t.Run(line, func(t *testing.T) {
			env := []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir(),
				"HOME=" + t.TempDir()}
			synctest.Test(t, func(t *testing.T) { endsSilent(t, line, env) })
		})
	}
}

func endsSilent(t *testing.T, line string, env []string) {
	errs := &lockedBuffer{}
	a := newApp(Parts{
		Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: errs, Environ: env,
		Connect: func(_ context.Context, o ConnectOptions) (engine.Runtime, container.Builder, error) {
			o.Found("unix:///some.sock")
			return mute{}, muteBuilder{}, nil
		},
	})
	began := time.Now()
	code := a.run(t.Context(), strings.Fields(line))
	took := time.Since(began)
	if code != exitNoEngine || took > noAnswer+slowAnswer {
		t.Errorf("exit code %d after %s", code, took)
	}
	if strings.HasPrefix(line, "doctor") {
		return // it waits less, and says what it found
	}
	if n := strings.Count(errs.String(), "waiting for the Docker engine at unix:///some.sock\n"); n != 1 {
		t.Errorf("said %d times that the engine is waited for", n)
	}
	if !strings.Contains(errs.String(), "takes connections and does not answer") || t.Failed() {
		t.Errorf("stderr:\n%s", errs.String())
	}
}
