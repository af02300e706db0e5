//go:build unix

package main

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/docker"
)

// suddenServices are one service of each kind of work: built by a swap, with what prepare writes; built by an
// overlap; many files synced; one large file synced and the program restarted; and one that a
// changed Compose file replaces.
const suddenServices = `
services:
  swapped:
    build: swapped
    command: &rest [sh, -c, "trap 'exit 0' TERM; while :; do busybox sleep 0.1; done"]
    network_mode: none
    x-bulkhead: {prepare: {run: cp source/v swapped/v, watch: [./source]}}
  lapped:
    build: lapped
    command: *rest
    network_mode: none
    x-bulkhead: {swap: overlap}
  synced:
    build: base
    command: *rest
    develop: {watch: [{path: files, action: sync, target: /data, initial_sync: true}]}
  restarted:
    build: base
    # What its program has read at its start is in /read.
    command:
      - sh
      - -c
      - busybox md5sum /data/large | busybox cut -c-32 >/read; trap 'exit 0' TERM; while :; do busybox sleep 0.1; done
    network_mode: none
    develop: {watch: [{path: large, action: sync+restart, target: /data, initial_sync: true}]}
  changed:
    build: base
    command:
      - sh
      - -c
      - busybox mkdir /data; echo $$VERSION >/data/v; trap 'exit 0' TERM; while :; do busybox sleep 0.1; done
    network_mode: none
    environment: {VERSION: "%d"}
`

// sudden is a project that bulkhead is killed on again and again.
type sudden struct {
	*folder
	t   *testing.T
	rt  *docker.Runtime
	rnd *rand.Rand
	n   int // counts what was written

	version int // of the Compose file
	// How long a start and a batch of changes take here: kills come at random moments of it.
	start, batch time.Duration
}

// Whenever bulkhead is killed, the next up leaves exactly what is on the disk. Two of the ways are
// tried; BULKHEAD_KILLS is how many rounds to try instead, as 50, and BULKHEAD_SEED where to begin.
func TestKillsAtAnyMomentConverge(t *testing.T) {
	t.Parallel()
	rounds, seed := 2, uint64(time.Now().UnixNano())
	if n, err := strconv.Atoi(os.Getenv("BULKHEAD_KILLS")); err == nil {
		rounds = n
	}
	if n, err := strconv.ParseUint(os.Getenv("BULKHEAD_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("%d rounds, BULKHEAD_SEED=%d", rounds, seed)
	s := newSudden(t, seed)
	s.change()
	began := time.Now()
	up := s.up()
	s.converges("the first up")
	start := time.Since(began)
	began = time.Now()
	s.change()
	s.converges("changes while it is up")
	batch := time.Since(began)
	s.start, s.batch = start, batch
	s.stop(up, syscall.SIGTERM)
	for round := range rounds {
		way := suddenWays[(seed+uint64(round))%uint64(len(suddenWays))]
		up := way.do(s)
		killed := time.Duration(s.rnd.Int64N(int64(way.within(s))))
		time.Sleep(killed)
		s.stop(up, syscall.SIGKILL)
		if s.rnd.IntN(2) == 0 {
			s.changeAll() // while nobody watches
		}
		what := fmt.Sprintf("round %d, %s, killed after %v", round, way.name, killed)
		next := s.up()
		s.converges(what)
		clean := s.stop(next, syscall.SIGTERM)
		if clean {
			s.nothingElse(what)
		}
		t.Logf("%s: all is well; it ended in time: %t", what, clean)
		if t.Failed() {
			return
		}
	}
	s.insist("down", "-v", "-t", "1")
	s.gone()
}

// The engine carries a stop out though bulkhead is killed meanwhile: what still runs when the next up
// comes ends a moment later, and is brought back all the same.
func TestUpAfterAKillInTheMiddleOfAStop(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	for name, text := range map[string]string{
		"Dockerfile": "FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT [\"/bin/busybox\"]\n",
		"compose.yaml": `services:
  a:
    build: .
    # It ends once it may: the test says when.
    command: [sh, -c, "trap 'echo ending; while ! busybox test -e /go; do busybox sleep 0.1; done; busybox rm /go; exit 0' TERM; echo begun; while :; do busybox sleep 0.1; done"]
    network_mode: none
    stop_grace_period: 10m
`} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	up := f.start(t, "up", "--plain")
	up.wait(t, `^a \| begun`)
	_ = up.cmd.Process.Signal(syscall.SIGTERM) // it runs: a line of its has just come
	up.wait(t, `^a \| ending`)
	_ = up.cmd.Process.Kill()
	up.end(t)
	next := f.start(t, "up", "--plain")
	next.wait(t, `a/1: restart \(its stop was begun`)
	if out, err := exec.Command("docker", "exec", f.name+"-a-1", "/bin/busybox", "touch",
		"/go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	next.wait(t, `^a \| begun`)
	next.wait(t, `^ready: 1 service`)
	_ = next.cmd.Process.Kill()
	next.end(t)
}

// suddenWays are what bulkhead is killed in.
var suddenWays = []struct {
	name   string
	do     func(*sudden) *stream
	within func(*sudden) time.Duration
}{
	{"at work", func(s *sudden) *stream {
		up := s.up()
		s.change()
		return up
	}, func(s *sudden) time.Duration { return s.batch }},
	{"at the start", func(s *sudden) *stream {
		s.changeAll()
		return s.folder.start(s.t, "up", "--plain")
	}, func(s *sudden) time.Duration { return s.start }},
	{"in down", func(s *sudden) *stream {
		s.leave()
		return s.folder.start(s.t, "down", "-t", "1")
	}, func(s *sudden) time.Duration { return s.start }},
	{"at the end", func(s *sudden) *stream {
		up := s.up()
		s.change()
		_ = up.cmd.Process.Signal(syscall.SIGTERM) // the kill that follows says whether it was there
		return up
	}, func(s *sudden) time.Duration { return s.start / 2 }},
	{"in up -d", func(s *sudden) *stream {
		s.changeAll()
		return s.folder.start(s.t, "up", "-d")
	}, func(s *sudden) time.Duration { return s.start }},
	{"at the start after down", func(s *sudden) *stream {
		s.insist("down", "-t", "1")
		s.changeAll()
		return s.folder.start(s.t, "up", "--plain")
	}, func(s *sudden) time.Duration { return s.start }},
}

func newSudden(t *testing.T, seed uint64) *sudden {
	s := &sudden{folder: newFolder(t), t: t, rnd: rand.New(rand.NewPCG(seed, 11))}
	s.env = append(s.env, "BULKHEAD_TRUST=1")
	var err error
	if s.rt, err = docker.New(docker.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.rt.Close() })
	for _, dir := range []string{"source", "swapped", "lapped", "base", "files", "large"} {
		s.must(os.MkdirAll(filepath.Join(s.dir, dir), 0o755))
	}
	for _, dir := range []string{"swapped", "lapped", "base"} {
		s.must(os.Link(filepath.Join(s.dir, "busybox"), filepath.Join(s.dir, dir, "busybox")))
		text := "FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT [\"/bin/busybox\"]\n"
		if dir != "base" {
			text += "COPY v /data/v\n"
		}
		s.must(os.WriteFile(filepath.Join(s.dir, dir, "Dockerfile"), []byte(text), 0o644))
	}
	for i := range 300 {
		s.write(fmt.Sprintf("files/d%d/f%d", i%6, i))
	}
	s.write("source/v")
	s.write("lapped/v")
	s.large()
	s.compose()
	return s
}

func (s *sudden) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// write puts something new in a file, beside it first or in place.
func (s *sudden) write(name string) {
	s.n++
	to := filepath.Join(s.dir, name)
	text := fmt.Appendf(nil, "%d %s\n", s.n, strings.Repeat("x", s.rnd.IntN(300)))
	s.must(os.MkdirAll(filepath.Dir(to), 0o755))
	if s.rnd.IntN(2) == 0 {
		s.must(os.WriteFile(to, text, 0o644))
		return
	}
	s.must(os.WriteFile(filepath.Join(s.dir, "new"), text, 0o644))
	s.must(os.Rename(filepath.Join(s.dir, "new"), to))
}

func (s *sudden) large() {
	text := make([]byte, 8<<20)
	for i := range text {
		text[i] = byte(s.rnd.Uint32())
	}
	s.must(os.WriteFile(filepath.Join(s.dir, "large/large"), text, 0o644))
}

func (s *sudden) compose() {
	s.version++
	s.must(os.WriteFile(filepath.Join(s.dir, "compose.yaml"), fmt.Appendf(nil, suddenServices,
		s.version), 0o644))
}

// change changes some of what there is: at least the files, many of which go.
func (s *sudden) change() {
	for i := range 300 {
		name := fmt.Sprintf("files/d%d/f%d", i%6, i)
		switch s.rnd.IntN(8) {
		case 0:
			s.must(os.RemoveAll(filepath.Join(s.dir, name)))
		case 1, 2:
			s.write(name)
		}
	}
	switch d := filepath.Join(s.dir, fmt.Sprintf("files/d%d", s.rnd.IntN(6))); s.rnd.IntN(3) {
	case 0:
		s.must(os.RemoveAll(d))
	case 1: // replaced as a whole
		if err := os.Rename(d, filepath.Join(s.dir, "old")); err == nil {
			s.must(os.RemoveAll(filepath.Join(s.dir, "old")))
		}
		s.write("files/" + filepath.Base(d) + "/f1000")
	}
	for _, f := range []func(){s.large, func() { s.write("source/v") }, func() { s.write("lapped/v") }} {
		if s.rnd.IntN(3) > 0 {
			f()
		}
	}
}

// changeAll changes the Compose file too, which an up that runs asks about.
func (s *sudden) changeAll() {
	s.change()
	if s.rnd.IntN(3) > 0 {
		s.compose()
	}
}

// up starts an up that a test goes on with once it watches.
func (s *sudden) up() *stream {
	s.t.Helper()
	up := s.folder.start(s.t, "up", "--plain")
	up.wait(s.t, `^watching: `)
	return up
}

// insist runs a verb until it succeeds: an engine that has too much to do may not answer it.
func (s *sudden) insist(args ...string) {
	s.t.Helper()
	var out []byte
	if !eventually(patience, func() (ok bool) {
		var err error
		out, err = s.command(args...).CombinedOutput()
		return err == nil
	}) {
		s.t.Fatalf("bulkhead %s:\n%s", strings.Join(args, " "), out)
	}
}

// leave has the project run without an up.
func (s *sudden) leave() {
	s.t.Helper()
	s.insist("up", "-d", "--quiet-build")
}

// stop ends an up, and returns whether it had the time to end all that it had begun: on a machine that
// is too busy it leaves that to the next.
func (s *sudden) stop(up *stream, sig os.Signal) bool {
	s.t.Helper()
	_ = up.cmd.Process.Signal(sig) // it may have come to its end
	code := up.end(s.t)
	if sig == syscall.SIGTERM && code != 0 && !strings.Contains(up.errs.String(), "did not end") {
		s.t.Errorf("exit code %d:\n%s\n%s", code, strings.Join(up.all(), "\n"), up.errs.String())
	}
	return code == 0
}

// converges waits until the containers hold what is on the disk.
func (s *sudden) converges(after string) {
	s.t.Helper()
	var wrong []string
	for limit := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
		if wrong = s.differences(); len(wrong) == 0 {
			return
		}
		if time.Now().After(limit) {
			s.t.Fatalf("after %s:\n%s", after, strings.Join(wrong, "\n"))
		}
	}
}

// differences is what the containers have other than the disk.
func (s *sudden) differences() (wrong []string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	all, err := s.rt.Instances(ctx, s.name)
	if err != nil {
		return []string{err.Error()}
	}
	of := map[string]engine.Instance{}
	for _, in := range all {
		if other, ok := of[in.Service]; ok || in.Number != "1" || in.Name != s.name+"-"+in.Service+"-1" {
			wrong = append(wrong, fmt.Sprintf("%s (%v) beside %s", in.Name, in.State, other.Name))
		}
		if in.State != engine.StateRunning {
			wrong = append(wrong, fmt.Sprintf("%s: %v", in.Name, in.State))
		}
		of[in.Service] = in
	}
	for _, service := range []string{"swapped", "lapped", "synced", "restarted", "changed"} {
		in, ok := of[service]
		if !ok {
			wrong = append(wrong, service+" has no container")
			continue
		}
		if img, err := s.rt.Image(ctx, in.ImageRef, ""); err != nil || img.ID != in.ImageID {
			wrong = append(wrong, fmt.Sprintf("%s: image %.19s, the newest is %.19s (%v)", service,
				in.ImageID, img.ID, err))
		}
		want, got := s.wanted(service), s.held(ctx, in.ID, "/data")
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got[name] != want[name] {
				wrong = append(wrong, fmt.Sprintf("%s: %s is %.40q, want %.40q", service, name,
					got[name], want[name]))
			}
			delete(got, name)
		}
		for _, name := range slices.Sorted(maps.Keys(got)) {
			wrong = append(wrong, fmt.Sprintf("%s: %s is %.40q, want nothing", service, name, got[name]))
		}
		if service == "restarted" {
			read, want := s.held(ctx, in.ID, "/read")["/read"],
				fmt.Sprintf("%x\n", md5.Sum([]byte(want["/data/large"])))
			if read != want {
				wrong = append(wrong, fmt.Sprintf("restarted: its program has read %q, want %q", read, want))
			}
		}
	}
	return wrong
}

// wanted is what a service's /data is to hold, by path: the content of files, "folder" for others.
func (s *sudden) wanted(service string) map[string]string {
	from := map[string]string{
		"swapped": "source/v", "lapped": "lapped/v", "synced": "files", "restarted": "large",
	}[service]
	out := map[string]string{"/data": "folder"}
	if service == "changed" {
		out["/data/v"] = strconv.Itoa(s.version) + "\n"
		return out
	}
	root := filepath.Join(s.dir, from)
	s.must(filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		at := path.Join("/data", filepath.ToSlash(rel))
		if p == root && !d.IsDir() {
			at = "/data/v"
		}
		out[at] = "folder"
		if !d.IsDir() {
			var text []byte
			text, err = os.ReadFile(p)
			out[at] = string(text)
		}
		return err
	}))
	return out
}

func (s *sudden) held(ctx context.Context, id, at string) map[string]string {
	out := map[string]string{}
	err := s.rt.List(ctx, id, at, func(p string, e engine.Entry, content io.Reader) error {
		if e.Mode.IsDir() {
			out[p] = "folder"
			return nil
		}
		text, err := io.ReadAll(content)
		out[p] = string(text)
		return err
	})
	if err != nil {
		out["error"] = err.Error()
	}
	return out
}

// nothingElse looks at what an up that has ended may not leave.
func (s *sudden) nothingElse(after string) {
	s.t.Helper()
	var wrong []string
	if !eventually(patience, func() bool { // an agent ends by itself, some seconds after its owner
		wrong = s.leftOver()
		return len(wrong) == 0
	}) {
		s.t.Errorf("after %s: left over: %s", after, strings.Join(wrong, "; "))
	}
}

func (s *sudden) leftOver() (wrong []string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	every := container.ListOptions{Project: s.name, All: true, OneOffs: true, Helpers: true}
	all, err := s.rt.Summaries(ctx, every)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	for _, c := range all {
		if c.Number != "1" || c.OneOff {
			wrong = append(wrong, "container "+c.Name)
		}
	}
	dangling, err := s.rt.ProjectImages(ctx, s.name, false)
	if err != nil || len(dangling) > 0 {
		wrong = append(wrong, fmt.Sprintf("images %v (%v)", dangling, err))
	}
	if holder, err := s.rt.ProjectHolder(ctx, s.name, "user"); holder != nil || err != nil {
		wrong = append(wrong, fmt.Sprintf("the holder %v (%v)", holder, err))
	}
	state := ""
	for _, v := range s.env {
		if value, ok := strings.CutPrefix(v, "XDG_STATE_HOME="); ok {
			state = value
		}
	}
	s.must(filepath.WalkDir(state, func(p string, d os.DirEntry, err error) error {
		// What is known of engines, and our own log, stay.
		if err == nil && strings.Contains(p, s.name) && !d.IsDir() && d.Name() != "state.json" {
			text, _ := os.ReadFile(p)
			wrong = append(wrong, fmt.Sprintf("%s: %.300s", p, text))
		}
		return err
	}))
	run, err := os.ReadDir(filepath.Join(s.run, "bulkhead"))
	s.must(err)
	for _, e := range run {
		if !strings.HasSuffix(e.Name(), ".lock") { // whoever holds it may be about to open it
			wrong = append(wrong, "socket "+e.Name())
		}
	}
	return wrong
}

// gone looks at what a down may not leave.
func (s *sudden) gone() {
	s.t.Helper()
	every := container.ListOptions{Project: s.name, All: true, OneOffs: true, Helpers: true}
	all, err := s.rt.Summaries(s.t.Context(), every)
	if err != nil || len(all) > 0 {
		s.t.Errorf("after down: %v (%v)", all, err)
	}
	if _, err := exec.LookPath("docker"); err != nil {
		return
	}
	for _, kind := range []string{"network", "volume"} {
		of := "label=com.docker.compose.project=" + s.name
		out, err := exec.Command("docker", kind, "ls", "-q", "--filter", of).CombinedOutput()
		if err != nil || len(out) > 0 {
			s.t.Errorf("after down: %ss: %s (%v)", kind, out, err)
		}
	}
}
