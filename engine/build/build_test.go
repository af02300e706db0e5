package build_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/engine/build"
	"bulkhead/engine/container"
)

// unique makes a step that no earlier build can have left in the cache.
func unique() string { return rand.Text() }

func mustBuild(t testing.TB, b *build.Builder, r container.BuildRequest) container.BuildResult {
	t.Helper()
	res, err := b.Build(t.Context(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	made.Store(res.Digest, true)
	return res
}

func TestBuildMakesAnImageAndFindsItInTheCacheNextTime(t *testing.T) {
	b := newBuilder(t)
	dir := write(t, t.TempDir(), "Dockerfile", "FROM scratch\nCOPY hello /hello\nCOPY other /other\n",
		"hello", unique(), "other", "x")
	r := container.BuildRequest{Service: "web", Context: dir, Tags: []string{prefix + "copy:1"},
		Labels: map[string]string{"who": "web"}}

	var seen []container.BuildProgress
	res, err := b.Build(t.Context(), r, func(p container.BuildProgress) { seen = append(seen, p) })
	if err != nil {
		t.Fatal(err)
	}
	id, labels, ok := image(t, prefix+"copy:1")
	if !ok || labels["who"] != "web" {
		t.Fatalf("image is there: %v, labels %v", ok, labels)
	}
	if res.Image != prefix+"copy:1" || res.Took <= 0 {
		t.Errorf("result %+v", res)
	}
	last := seen[len(seen)-1]
	if last.Total != 2 || last.Done != 2 || last.Cached != 0 {
		t.Errorf("progress %d/%d, %d cached; steps %+v", last.Done, last.Total, last.Cached, last.Steps)
	}
	step := last.Steps[slices.IndexFunc(last.Steps, func(s container.BuildStep) bool {
		return strings.Contains(s.Name, "COPY hello")
	})]
	if step.Started.IsZero() || step.Ended.Before(step.Started) {
		t.Errorf("times of %+v", step)
	}

	again := mustBuild(t, b, r)
	cached := 0
	for _, s := range again.Steps {
		if s.Cached && strings.Contains(s.Name, "COPY") {
			cached++
		}
	}
	if cached != 2 {
		t.Errorf("%d of 2 steps cached: %+v", cached, again.Steps)
	}
	if id2, _, _ := image(t, prefix+"copy:1"); id2 != id {
		t.Errorf("image %s became %s without a change", id, id2)
	}
}

func TestBuildSeesAChangeOfEqualSize(t *testing.T) {
	b := newBuilder(t)
	dir := write(t, t.TempDir(), "Dockerfile", "FROM scratch\nCOPY f /a\n", "f", "1")
	r := container.BuildRequest{Service: "web", Context: dir, Tags: []string{prefix + "size"}}
	mustBuild(t, b, r)
	first, _, _ := image(t, prefix+"size")
	write(t, dir, "Dockerfile", "FROM scratch\nCOPY f /b\n")
	mustBuild(t, b, r)
	second, _, _ := image(t, prefix+"size")
	write(t, dir, "f", "2")
	mustBuild(t, b, r)
	third, _, _ := image(t, prefix+"size")
	if first == second || second == third {
		t.Errorf("images %s, %s, %s: a change was lost", first, second, third)
	}
}

func TestOnlyChangedFilesTravel(t *testing.T) {
	needEngine(t)
	dir := write(t, t.TempDir(), "Dockerfile", "FROM scratch\nCOPY . /\n", "big",
		strings.Repeat(unique(), 100_000), "small", "1")
	sent := func() int64 {
		// A builder of its own each time: what the engine keeps must outlive the connection.
		res := mustBuild(t, newBuilder(t), container.BuildRequest{Service: "web", Context: dir,
			Tags: []string{prefix + "travel"}})
		for _, s := range res.Steps {
			if strings.Contains(s.Name, "load build context") {
				return s.Current
			}
		}
		t.Fatalf("no context in %+v", res.Steps)
		return 0
	}
	if n := sent(); n < 2_000_000 {
		t.Fatalf("%d bytes of the whole context", n)
	}
	write(t, dir, "small", "2")
	if n := sent(); n > 10_000 {
		t.Errorf("%d bytes for a change of one", n)
	}
}

func TestMissingFileNamesTheLine(t *testing.T) {
	b := newBuilder(t)
	dir := write(t, t.TempDir(), "Dockerfile", "FROM scratch\n\nCOPY nowhere \\\n  /there\n")
	_, err := b.Build(t.Context(), container.BuildRequest{Service: "web", Context: dir}, nil)
	var be *container.BuildError
	if !errors.As(err, &be) {
		t.Fatalf("got %v", err)
	}
	if be.Service != "web" || be.Step != "COPY nowhere \\\n  /there" || be.File != filepath.Join(dir,
		"Dockerfile") || be.Line != 3 {
		t.Errorf("got %+v", be)
	}
	if strings.Contains(be.Error(), "rpc error") || !strings.Contains(be.Error(), "nowhere") {
		t.Errorf("message %q", be)
	}
}

func TestFailingCommandGivesStepAndTail(t *testing.T) {
	b := newBuilder(t)
	dir := write(t, t.TempDir(), "Dockerfile", "FROM "+base(t)+"\nRUN seq 1 30; echo broken; exit 7\n")
	var out []string
	_, err := b.Build(t.Context(), container.BuildRequest{Service: "web", Context: dir},
		func(p container.BuildProgress) { out = append(out, p.Output...) })
	var be *container.BuildError
	if !errors.As(err, &be) {
		t.Fatalf("got %v", err)
	}
	if be.Step != "RUN seq 1 30; echo broken; exit 7" || be.Line != 2 {
		t.Errorf("step %q, line %d", be.Step, be.Line)
	}
	if len(be.Tail) != 20 || be.Tail[0] != "12" || be.Tail[19] != "broken" {
		t.Errorf("tail %q", be.Tail)
	}
	if !strings.Contains(be.Error(), "7") {
		t.Errorf("message %q", be)
	}
	if len(out) != 31 {
		t.Errorf("%d lines of output: %q", len(out), out)
	}
}

func TestDockerfileThatDoesNotParseNamesTheLine(t *testing.T) {
	b := newBuilder(t)
	dir := write(t, t.TempDir(), "Dockerfile", "FROM scratch\nCOPPY a b\n")
	_, err := b.Build(t.Context(), container.BuildRequest{Service: "web", Context: dir}, nil)
	var be *container.BuildError
	if !errors.As(err, &be) || be.Line != 2 || be.Step != "COPPY a b" {
		t.Fatalf("got %+v", err)
	}
}

func TestSecretsReachTheCommandAndNoLayer(t *testing.T) {
	b := newBuilder(t)
	dir := t.TempDir()
	write(t, dir, "token", "from a file")
	r := container.BuildRequest{
		Service: "web", Context: write(t, filepath.Join(dir, "ctx"), "f", unique()),
		Tags: []string{prefix + "secret"},
		DockerfileInline: "FROM " + base(t) + `
COPY f /f
RUN --mount=type=secret,id=a,required --mount=type=secret,id=b,required test "$(cat /run/secrets/a) $(cat /run/secrets/b)" = "from a file from the environment"
RUN test ! -s /run/secrets/a
`,
		Secrets: []container.BuildSecret{{ID: "a", File: filepath.Join(dir, "token")},
			{ID: "b", Env: "from the environment"}},
	}
	mustBuild(t, b, r)

	r.Secrets = r.Secrets[:1]
	write(t, r.Context, "f", unique())
	if _, err := b.Build(t.Context(), r, nil); err == nil {
		t.Error("built without a secret that is required")
	}
	r.Secrets[0].File = filepath.Join(dir, "gone")
	if _, err := b.Build(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "build secret a") {
		t.Errorf("missing secret file: %v", err)
	}
}

func TestTargetArgsAndInlineDockerfile(t *testing.T) {
	b := newBuilder(t)
	r := container.BuildRequest{
		Service: "web", Context: write(t, t.TempDir(), "f", "x"), Target: "first",
		Tags: []string{prefix + "target"},
		DockerfileInline: "FROM " + base(t) +
			" AS first\nARG WHO\nRUN test \"$WHO\" = bulkhead\nFROM first AS second\nRUN false\n",
		Args: map[string]string{"WHO": "bulkhead"},
	}
	mustBuild(t, b, r)
	r.Args = map[string]string{"WHO": "nobody"}
	if _, err := b.Build(t.Context(), r, nil); err == nil {
		t.Error("the build arg did not reach the command")
	}
	r.Args, r.Target = map[string]string{"WHO": "bulkhead"}, ""
	if _, err := b.Build(t.Context(), r, nil); err == nil {
		t.Error("without a target the last stage is built, and that one fails")
	}
}

func TestProxiesOfTheDockerConfigBecomeArgs(t *testing.T) {
	needEngine(t)
	conf := write(t, t.TempDir(), "config.json",
		`{"proxies":{"default":{"httpProxy":"http://proxy:3128","noProxy":"localhost"}}}`)
	b := build.New(build.Options{Dial: dial, HasBuildKit: build.ServesBuildKit, DockerConfigDir: conf})
	defer b.Close()
	mustBuild(t, b, container.BuildRequest{
		Service: "web", Context: write(t, t.TempDir(), "f", unique()),
		Args: map[string]string{"NO_PROXY": "mine"}, Tags: []string{prefix + "proxy"},
		DockerfileInline: "FROM " + base(t) +
			"\nCOPY f /\nRUN test \"$HTTP_PROXY $http_proxy $NO_PROXY\" = \"http://proxy:3128 http://proxy:3128 mine\"\n",
	})
}

func TestIgnoreFilesAndDockerfileOutsideOfTheContext(t *testing.T) {
	b := newBuilder(t)
	root := t.TempDir()
	ctx := write(t, filepath.Join(root, "ctx"), ".dockerignore", "*.log\n", "a.log", "x", "a.txt",
		"x", "b.txt", "x")
	check := "FROM " + base(t) + "\nCOPY . /ctx\nRUN "
	out := write(t, filepath.Join(root, "docker"),
		"plain.Dockerfile", check+"test ! -e /ctx/a.log -a -e /ctx/a.txt -a -e /ctx/b.txt\n",
		"own.Dockerfile", check+"test -e /ctx/a.log -a -e /ctx/a.txt -a ! -e /ctx/b.txt\n",
		"own.Dockerfile.dockerignore", "b.txt\n")
	for _, name := range []string{"plain", "own"} {
		mustBuild(t, b, container.BuildRequest{Service: name, Context: ctx,
			Dockerfile: filepath.Join(out, name+".Dockerfile"), Tags: []string{prefix + name}})
	}
	mustBuild(t, b, container.BuildRequest{Service: "relative", Context: ctx,
		Dockerfile: "../docker/plain.Dockerfile", Tags: []string{prefix + "relative"}})
}

func TestBadInputIsOneClearLine(t *testing.T) {
	b := newBuilder(t)
	dir := t.TempDir()
	for _, c := range []struct {
		r    container.BuildRequest
		want string
	}{
		{container.BuildRequest{Service: "web", Context: filepath.Join(dir, "gone")},
			"build web: build context: stat " + filepath.Join(dir, "gone")},
		{container.BuildRequest{Service: "web", Context: dir}, "build web: " +
			filepath.Join(dir, "Dockerfile") + " is not there"},
		{container.BuildRequest{Service: "web", Context: dir, DockerfileInline: "FROM scratch",
			ExtraHosts: []string{"a=b"}}, `extra host a: "b" is not an IP address`},
		{container.BuildRequest{Service: "web", Context: dir, DockerfileInline: "FROM scratch",
			CacheFrom: []string{"ref=x"}}, "type= is missing"},
	} {
		_, err := b.Build(t.Context(), c.r, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q in one line", err, c.want)
		}
	}
}

func TestNamedContextIsUsedOrRefusedInOneLine(t *testing.T) {
	b := newBuilder(t)
	_, err := b.Build(t.Context(), container.BuildRequest{
		Service: "web", Context: write(t, t.TempDir(), "Dockerfile",
			"FROM scratch\nCOPY --from=assets f /f\n"), Tags: []string{prefix + "named"},
		AdditionalContexts: map[string]string{"assets": write(t, t.TempDir(), "f", "x")},
	}, nil)
	if err == nil {
		return // an engine that is new enough
	}
	if !errors.Is(err, build.ErrUnsupported) || !strings.Contains(err.Error(),
		"additional_contexts (assets)") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestEqualBuildsRunOnceAndGetAllTags(t *testing.T) {
	needEngine(t)
	var sessions atomic.Int32
	b := build.New(build.Options{HasBuildKit: build.ServesBuildKit, DockerConfigDir: t.TempDir(),
		Dial: func(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error) {
			if path == "/session" {
				sessions.Add(1)
			}
			return dial(ctx, path, proto, meta)
		}})
	defer b.Close()
	gate, open := newGate(t)
	dir := write(t, t.TempDir(), "Dockerfile", "FROM "+base(t)+"\nCOPY f /\nRUN "+gate+
		"; cat /proc/sys/kernel/random/uuid > /uuid\n", "f", unique())

	var running, joined atomic.Bool
	var wg sync.WaitGroup
	var res [2]container.BuildResult
	var errs [2]error
	start := func(i int, name string, inside *atomic.Bool) {
		wg.Go(func() {
			res[i], errs[i] = b.Build(t.Context(), container.BuildRequest{Key: "same", Service: name,
				Context: dir, Tags: []string{prefix + name}}, func(p container.BuildProgress) {
				for _, s := range p.Steps {
					if strings.Contains(s.Name, gate) && !s.Started.IsZero() {
						inside.Store(true)
					}
				}
			})
		})
	}
	start(0, "one", &running)
	waitFor(t, "the first build runs", running.Load)
	start(1, "two", &joined)
	waitFor(t, "the second has joined", joined.Load)
	open()
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	one, _, ok1 := image(t, prefix+"one")
	two, _, ok2 := image(t, prefix+"two")
	if !ok1 || !ok2 || one != two {
		t.Errorf("images %q and %q", one, two)
	}
	if res[0].Image != prefix+"one" || res[1].Image != prefix+"two" || !res[0].Shared || !res[1].Shared {
		t.Errorf("results %+v", res)
	}
	// The second session names the image for the caller that came late; its steps are cached.
	if n := sessions.Load(); n > 2 {
		t.Errorf("%d sessions for one build", n)
	}
}

// sleeper returns a request whose RUN sleeps long, and a function that counts those sleeps on this
// machine, where the engine runs here too.
func sleeper(t *testing.T) (container.BuildRequest, func() int) {
	t.Helper()
	seconds := fmt.Sprintf("3600.%d", time.Now().UnixNano()%1e9)
	r := container.BuildRequest{
		Service: "web", Context: write(t, t.TempDir(), "f", unique()),
		DockerfileInline: "FROM " + base(t) + "\nRUN echo sleeping; exec sleep " + seconds + "\n",
	}
	return r, func() int {
		n := 0
		all, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			data, err := os.ReadFile(p)
			if err == nil && string(data) == "sleep\x00"+seconds+"\x00" { // an error: the process has ended
				n++
			}
		}
		return n
	}
}

// newGate returns a RUN command that waits until open is called: another build makes a file in a cache that both mount.
func newGate(t *testing.T) (run string, open func()) {
	t.Helper()
	mount := "--mount=type=cache,target=/gate,id=" + prefix + unique() + " "
	return mount + "until test -e /gate/open; do sleep 0.1; done", func() {
		t.Helper()
		mustBuild(t, newBuilder(t), container.BuildRequest{Service: "gate",
			Context: write(t, t.TempDir(), "f", ""), DockerfileInline: "FROM " + base(t) + "\nRUN " +
				mount + "touch /gate/open\n"})
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestLastCallerToLeaveStopsTheBuild(t *testing.T) {
	b := newBuilder(t)
	r, sleeps := sleeper(t)
	r.Key = "sleep"
	one, leaveOne := context.WithCancel(t.Context())
	two, leaveTwo := context.WithCancel(t.Context())
	defer leaveTwo()
	errs := make(chan error, 2)
	var joined atomic.Int32
	for _, ctx := range []context.Context{one, two} {
		go func() {
			_, err := b.Build(ctx, r, func(p container.BuildProgress) {
				if slices.Contains(p.Output, "sleeping") {
					joined.Add(1)
				}
			})
			errs <- err
		}()
	}
	waitFor(t, "both callers see the output", func() bool { return joined.Load() == 2 })
	if n := sleeps(); n != 1 {
		t.Fatalf("%d sleeps run for two callers", n)
	}

	leaveOne()
	if err := <-errs; !errors.Is(err, container.ErrBuildCanceled) || !errors.Is(err, context.Canceled) {
		t.Errorf("first caller: %v", err)
	}
	select {
	case err := <-errs:
		t.Fatalf("second caller: %v", err)
	case <-time.After(300 * time.Millisecond): // a lower bound: a right build ends in an hour
	}
	if sleeps() != 1 {
		t.Fatal("the build stopped although a caller waits for it")
	}
	leaveTwo()
	if err := <-errs; !errors.Is(err, container.ErrBuildCanceled) {
		t.Errorf("second caller: %v", err)
	}
	waitFor(t, "the sleep ends", func() bool { return sleeps() == 0 })
}

func TestCallerThatComesBackMovesTheOthersToANewBuild(t *testing.T) {
	b := newBuilder(t)
	r, sleeps := sleeper(t)
	r.Key, r.Tags = "moves", []string{prefix + "moves"}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	left, stayed := make(chan error, 1), make(chan error, 1)
	go func() { _, err := b.Build(ctx, r, nil); left <- err }()
	waitFor(t, "the sleep runs", func() bool { return sleeps() == 1 })
	var joined atomic.Bool
	go func() {
		_, err := b.Build(t.Context(), r, func(container.BuildProgress) { joined.Store(true) })
		stayed <- err
	}()
	waitFor(t, "the other caller has joined", joined.Load)
	leave()
	<-left

	r.DockerfileInline = "FROM scratch\nCOPY f /f\n"
	mustBuild(t, b, r)
	if err := <-stayed; err != nil {
		t.Errorf("the caller that stayed: %v", err)
	}
	if n := sleeps(); n != 0 {
		t.Errorf("%d sleeps of the build that was replaced", n)
	}
}

func TestCloseEndsBuilds(t *testing.T) {
	b := newBuilder(t)
	r, sleeps := sleeper(t)
	got := make(chan error, 1)
	go func() { _, err := b.Build(t.Context(), r, nil); got <- err }()
	waitFor(t, "the sleep runs", func() bool { return sleeps() == 1 })
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, container.ErrBuilderClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Build(t.Context(), r, nil); !errors.Is(err, container.ErrBuilderClosed) {
		t.Errorf("after close: %v", err)
	}
	waitFor(t, "the sleep ends", func() bool { return sleeps() == 0 })
}

func TestNamesThatAreNotTextAreNamed(t *testing.T) {
	b := newBuilder(t)
	dir := t.TempDir()
	write(t, dir, "Dockerfile", "FROM "+base(t)+"\nCOPY . /ctx\n", "plain", "x")
	if err := os.WriteFile(filepath.Join(dir, "caf\xe9.txt"), []byte("x"), 0o644); err != nil {
		t.Skipf("this file system has no such names: %v", err)
	}
	r := container.BuildRequest{Service: "web", Context: dir, Tags: []string{prefix + "names"}}
	refused := func(want string) {
		t.Helper()
		_, err := b.Build(t.Context(), r, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ".dockerignore") ||
			strings.Contains(err.Error(), "grpc") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %s in one line", err, want)
		}
	}
	refused(`"caf\xe9.txt" is not UTF-8`)
	write(t, dir, ".dockerignore", "caf*\n")
	mustBuild(t, b, r)
	if err := os.Symlink("to\xe9", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	refused(`link is a link to "to\xe9"`)
}
