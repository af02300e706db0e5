package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

// A number that cannot be meant is wrong usage: one line, and nothing is asked of the engine.
func TestNumbersOutOfBoundsAreWrongUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("compose.yaml", []byte("name: shop\nservices: {a: {image: x}}\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"stop -t -5", "stop -t 99999999999999", "stop -t 9999999999999999999999", "down -t -1",
		"restart -t 1e3", "up -t -5 --plain",
		"kill -s 99999", "kill -s -1", "kill -s 0", "kill -s FOO", "kill -s SIGRUBBISH a",
		"logs --since 99999999999999999999h", "logs --since -5m", "logs -n -2",
		"logs -n 99999999999999999999", "logs --index -1",
		"events --since 1e400", "events --until soon",
		"scale a=-1", "scale a=1000000000", "scale a=99999999999999999999",
		"up -d --scale a=1000000000", "up --wait-timeout -3",
		"exec --index -3 a true", "port --index -1 a 80", "port a 99999",
		"commit --index 99999999999 a x:y", "fault a stop --replica -2",
		"--parallel x ps", "ps --parallel x", "--dry-run=maybe ps", "up --log-size -1",
		"up --log-size 99999999999999T",
	} {
		var errs strings.Builder
		a := newApp(Parts{
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &errs,
			Environ: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir(),
				"HOME=" + t.TempDir()},
			Connect: func(context.Context, ConnectOptions) (engine.Runtime, container.Builder, error) {
				return nil, nil, errors.New("the engine was asked")
			},
		})
		code := a.run(t.Context(), strings.Fields(line))
		if text := strings.TrimSpace(errs.String()); code != exitUsage ||
			strings.Contains(text, "\n") || strings.Contains(text, "strconv") {
			t.Errorf("%s: exit code %d, %s", line, code, text)
		}
	}
	for _, signal := range []string{"SIGHUP", "hup", "1", "64", "RTMIN+3", "SIGKILL"} {
		if err := checkSignal("kill", signal); err != nil {
			t.Error(err)
		}
	}
}
