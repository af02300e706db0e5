package build_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine/build"
	"bulkhead/engine/container"
)

// oldBuilder speaks to the engine's builder from before BuildKit.
type oldBuilder struct{}

func (oldBuilder) ClassicBuild(
	ctx context.Context, r container.BuildRequest, tar io.Reader, dockerfile string, out func(string),
) error {
	args, err := json.Marshal(r.Args)
	if err != nil {
		return err
	}
	q := url.Values{"dockerfile": {dockerfile}, "t": r.Tags, "target": {r.Target},
		"buildargs": {string(args)}, "rm": {"1"}, "forcerm": {"1"}}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://engine/build?"+q.Encode(), tar)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-tar")
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _,
		_ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket())
	}}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text := ""
	for dec := json.NewDecoder(resp.Body); ; {
		var m struct{ Stream, Error, Message string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if m.Error+m.Message != "" {
			return errors.New(m.Error + m.Message)
		}
		lines := strings.Split(text+m.Stream, "\n")
		for _, l := range lines[:len(lines)-1] {
			out(l)
		}
		text = lines[len(lines)-1]
	}
}

func oldEngine(t *testing.T) *build.Builder {
	t.Helper()
	needEngine(t)
	b := build.New(build.Options{Classic: oldBuilder{}, DockerConfigDir: t.TempDir()})
	t.Cleanup(func() { b.Close() })
	return b
}

func TestClassicBuilderHonoursIgnoreFilesWhereverTheDockerfileIs(t *testing.T) {
	b := oldEngine(t)
	root := t.TempDir()
	check := "FROM " + base(t) + "\nCOPY . /ctx\nRUN ls -A /ctx > /list; test \"$(echo $(cat /list))\" = \""
	ctx := write(t, filepath.Join(root, "ctx"), ".dockerignore", "*.log\nDockerfile\n.dockerignore\n",
		"Dockerfile", check+"a.txt sub\"\n", "a.log", "x", "a.txt", unique(), "sub/f", "x")
	bare := write(t, filepath.Join(root, "bare"), "a.txt", unique())
	out := write(t, root, "other.Dockerfile", check+"Dockerfile a.txt sub\"\n",
		"other.Dockerfile.dockerignore", "*.log\n.dockerignore")
	for name, r := range map[string]container.BuildRequest{
		"inside":  {Context: ctx},
		"outside": {Context: ctx, Dockerfile: filepath.Join(out, "other.Dockerfile")},
		"inline":  {Context: bare, DockerfileInline: check + "a.txt\"\n"},
	} {
		r.Service, r.Tags = name, []string{prefix + "old-" + name}
		mustBuild(t, b, r)
		if _, _, ok := image(t, r.Tags[0]); !ok {
			t.Errorf("%s: no image", name)
		}
	}
}

func TestClassicBuilderShowsStepsAndFailure(t *testing.T) {
	b := oldEngine(t)
	dir := write(t, t.TempDir(), "f", unique(), "Dockerfile", "ARG X\nFROM "+base(t)+
		"\nCOPY f /\nRUN echo one; \\\n    echo two; exit 3\n")
	r := container.BuildRequest{Service: "web", Context: dir, Tags: []string{prefix + "old-steps"}}
	_, err := b.Build(t.Context(), r, nil)
	var be *container.BuildError
	if !errors.As(err, &be) {
		t.Fatalf("got %v", err)
	}
	if be.Line != 4 || be.Step != "RUN echo one; \\\n    echo two; exit 3" ||
		!slices.Equal(be.Tail, []string{"one", "two"}) {
		t.Errorf("got %+v", be)
	}

	write(t, dir, "Dockerfile", "FROM "+base(t)+"\nCOPY f /\nRUN echo one\n")
	var last container.BuildProgress
	var out []string
	if _, err := b.Build(t.Context(), r, func(p container.BuildProgress) {
		last = p
		out = append(out, p.Output...)
	}); err != nil {
		t.Fatal(err)
	}
	if len(last.Steps) != 3 || last.Total != 3 || last.Done != 3 || last.Cached != 1 ||
		!last.Steps[1].Cached || last.Steps[1].Name != "[2/3] COPY f /" {
		t.Errorf("progress %+v", last)
	}
	if !slices.Equal(out, []string{"one"}) {
		t.Errorf("output %q", out)
	}
}

func TestClassicBuilderRefusesWhatItLacks(t *testing.T) {
	b := oldEngine(t)
	_, err := b.Build(t.Context(), container.BuildRequest{
		Service: "web", Context: t.TempDir(), DockerfileInline: "FROM scratch",
		Secrets: []container.BuildSecret{{ID: "a"}}, SSH: []container.BuildSSH{{}},
		AdditionalContexts: map[string]string{"x": "/"},
	}, nil)
	if !errors.Is(err, build.ErrUnsupported) || !errors.Is(err, container.ErrUnsupported) ||
		!strings.Contains(err.Error(), "additional_contexts, secrets, ssh") {
		t.Errorf("got %v", err)
	}
}
