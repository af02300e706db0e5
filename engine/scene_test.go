package engine_test

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/build"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// scene is a stage whose engine runs on a runtime in memory. Its images are "app",
// which runs loop, and what the builder makes.
type scene struct {
	*stage
	rt      *memory.Runtime
	builds  *builds
	virtual bool // time is: nothing of the kernel's is waited for, so no file is watched
}

// virtually plays a scene in virtual time, in which hours pass at once.
func virtually(t *testing.T, files map[string]string, play func(s *scene)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { play(newScene(t, files, true)) })
}

// watched is a scene in the machine's own time, with files that are watched.
func watched(t *testing.T, files map[string]string) *scene {
	t.Parallel()
	return newScene(t, files, false)
}

func newScene(t *testing.T, files map[string]string, virtual bool) *scene {
	rt := memory.New()
	rt.Put("app", memory.Image{Command: []string{"loop"}})
	made := &builds{rt: rt, by: map[string]string{}, bases: map[string]memory.Image{"app": {Command: []string{"loop"}}}}
	b := build.New(build.Options{Classic: made})
	s := &scene{stage: &stage{t: t, dir: t.TempDir(), name: "play", b: b, state: t.TempDir()}, rt: rt, builds: made, virtual: virtual}
	s.write(files)
	t.Cleanup(func() {
		if s.stop != nil {
			if err := s.stop(); err != nil {
				t.Errorf("run: %v", err)
			}
		}
		b.Close()
		rt.Close()
	})
	return s
}

func (s *scene) run(o engine.Options) {
	s.t.Helper()
	if o.Runtime == nil {
		o.Runtime = s.rt
	}
	if s.virtual {
		o.NoWatch = true
		time.Sleep(time.Second) // virtual: what happened before this run has a time before it
	}
	s.stage.run(o)
}

func (s *scene) up() {
	s.t.Helper()
	s.run(engine.Options{})
	s.ready()
}

// instances is what the runtime itself says of who there is, by service/number.
func (s *scene) instances() map[string]container.Instance {
	s.t.Helper()
	all, err := s.rt.Instances(context.Background(), s.name)
	s.must(err)
	out := map[string]container.Instance{}
	for _, in := range all {
		key := fmt.Sprintf("%s/%d", in.Service, in.Replica)
		if _, there := out[key]; !there || in.State == container.StateRunning {
			out[key] = in
		}
	}
	return out
}

func (s *scene) identities() map[string]container.Identity {
	s.t.Helper()
	out := map[string]container.Identity{}
	for key, in := range s.instances() {
		out[key] = in.Identity
	}
	return out
}

// file is what a service's first container has at a path, "" when there is no such
// file.
func (s *scene) file(service, at string) string {
	return s.rt.Files(s.identities()[service+"/1"].ID, at)[at].Text
}

// program makes a program that says something and then waits for TERM, upon which
// it says more, after a while, and ends.
func program(says string, lasts time.Duration, last string, code int) memory.Program {
	return memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
		if says != "" {
			p.Print("%s", says)
		}
		p.Wait()
		p.Sleep(lasts)
		if last != "" {
			p.Print("%s", last)
		}
		return code
	}}
}

// once makes a program that says something and ends after a while.
func once(says string, after time.Duration, code int) memory.Program {
	return memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
		p.Print("%s", says)
		p.Sleep(after)
		return code
	}}
}

// builds makes images of small Dockerfiles in memory: FROM, COPY FILE PATH or COPY
// . PATH, CMD ["a", "b"], VOLUME PATH, RUN fail WORDS, and RUN wait, which goes on
// when hold is closed. Contents that were built before are the image that is there
// already.
type builds struct {
	rt *memory.Runtime

	mu    sync.Mutex
	by    map[string]string // ids by content
	bases map[string]memory.Image
	hold  chan struct{}
	count int
}

func (b *builds) built() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// ClassicBuild implements build.Classic.
func (b *builds) ClassicBuild(ctx context.Context, r container.BuildRequest, content io.Reader, dockerfile string, out func(string)) error {
	files := map[string]string{}
	for tr := tar.NewReader(content); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg {
			files[path.Clean(h.Name)] = string(text)
		}
	}
	b.mu.Lock()
	b.count++
	hold := b.hold
	b.mu.Unlock()
	img := memory.Image{Project: r.Labels["com.docker.compose.project"]}
	lines := strings.Split(strings.TrimSpace(files[dockerfile]), "\n")
	for i, line := range lines {
		out(fmt.Sprintf("Step %d/%d : %s", i+1, len(lines), line))
		if err := b.step(ctx, &img, line, files, hold, out); err != nil {
			return err
		}
	}
	b.name(img, r.Tags, out)
	return ctx.Err()
}

func (b *builds) step(ctx context.Context, img *memory.Image, line string, files map[string]string, hold chan struct{}, out func(string)) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "FROM":
		b.mu.Lock()
		defer b.mu.Unlock()
		base, there := b.bases[rest]
		if !there && rest != "scratch" {
			return fmt.Errorf("pull access denied for %s", rest)
		}
		img.Command, img.Files = slices.Clone(base.Command), maps.Clone(base.Files)
		if img.Files == nil {
			img.Files = map[string]string{}
		}
	case "COPY":
		from, to, _ := strings.Cut(rest, " ")
		for name, text := range files {
			switch {
			case from == ".":
				img.Files[path.Join(to, name)] = text
			case name == from:
				img.Files[to] = text
			}
		}
	case "CMD":
		return json.Unmarshal([]byte(rest), &img.Command)
	case "VOLUME":
		img.Volumes = append(img.Volumes, rest)
	case "RUN":
		what, words, _ := strings.Cut(rest, " ")
		if what == "fail" {
			out(words)
			return fmt.Errorf("the command '%s' returned a non-zero code: 7", rest)
		}
		if hold != nil {
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// name gives an image its names, and makes it when it is not there.
func (b *builds) name(img memory.Image, tags []string, out func(string)) {
	sum := sha256.New()
	fmt.Fprint(sum, img.Command, img.Volumes, img.Project)
	for _, at := range slices.Sorted(maps.Keys(img.Files)) {
		fmt.Fprintf(sum, "%q=%q", at, img.Files[at])
	}
	key := fmt.Sprintf("%x", sum.Sum(nil))
	b.mu.Lock()
	defer b.mu.Unlock()
	id := b.by[key]
	if _, err := b.rt.Image(context.Background(), id, ""); id == "" || err != nil {
		id = b.rt.Put("", img)
		b.by[key] = id
	}
	for _, t := range tags {
		b.rt.Tag(id, t)
		b.bases[t] = img
	}
	out("Successfully built " + strings.TrimPrefix(id, "sha256:")[:12])
}
