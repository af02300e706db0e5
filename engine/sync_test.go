package engine_test

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/docker"
	"bulkhead/engine/project"
)

// syncing is a project of one service with the given rules, and what else stands in the service.
func syncing(rules string, more ...string) string {
	text := fmt.Sprintf("services:\n  a:\n    image: %s\n    command: %s\n    develop: {watch: [%s]}\n", baseImage, loop, rules)
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return text
}

const copyAll = "{path: src, action: sync, target: /app, initial_sync: true, ignore: [skip/]}"

func TestSyncKeepsKindsAndModes(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing(copyAll), "src/run": "#!/bin/sh\necho ran", "src/plain": "x", "src/dir/in": "x", "src/turns/in": "x", "src/skip/no": "x"})
	s.must(os.Chmod(s.path("src/plain"), 0o640), os.Chmod(s.path("src/run"), 0o755|fs.ModeSetuid), os.Chmod(s.path("src/dir"), 0o700|fs.ModeSticky),
		os.Mkdir(s.path("src/empty"), 0o755), os.Chmod(s.path("src/empty"), 0o755), os.Symlink("dir", s.path("src/link")), os.Symlink("/no/where", s.path("src/dangling")))
	s.up()
	look := "cd /app && for f in run plain dir dir/in empty turns link dangling; do [ -L $f ] && echo $f '->' $(readlink $f) || stat -c '%n %a' $f; done; ls"
	want := "run 4755\nplain 640\ndir 1700\ndir/in 755\nempty 755\nturns 755\nlink -> dir\ndangling -> /no/where\ndangling\ndir\nempty\nlink\nplain\nrun\nturns"
	if got := s.sh("a", look); got != want {
		t.Errorf("after the initial sync:\n%s\nwant\n%s", got, want)
	}
	s.must(os.Chmod(s.path("src/plain"), 0o751), os.RemoveAll(s.path("src/dir")), os.Remove(s.path("src/empty")), os.RemoveAll(s.path("src/turns")),
		os.WriteFile(s.path("src/turns"), []byte("file"), 0o644), os.Remove(s.path("src/link")), os.MkdirAll(s.path("src/link/deep"), 0o755),
		os.WriteFile(s.path("src/link/deep/x"), []byte("deep"), 0o644), os.Remove(s.path("src/dangling")), os.Symlink("run", s.path("src/dangling")))
	want = "/app /app/dangling /app/link /app/link/deep /app/link/deep/x /app/plain /app/run /app/turns"
	s.until("the second state", func(*engine.Snapshot) bool {
		return strings.ReplaceAll(s.sh("a", "find /app | sort"), "\n", " ") == want
	})
	if got := s.sh("a", "cd /app; stat -c %a plain; cat turns link/deep/x; ./dangling"); got != "751\nfiledeepran" {
		t.Errorf("after the changes: %q", got)
	}
	s.must(os.Remove(s.path("src/turns")), os.MkdirAll(s.path("src/turns"), 0o755), os.WriteFile(s.path("src/turns/again"), []byte("again"), 0o644))
	s.until("the file a folder again", func(*engine.Snapshot) bool {
		got, err := s.tryCat("a", "/app/turns/again")
		return err == nil && got == "again"
	})
}

func TestNothingIsWrittenOrDeletedOutsideOfTheTarget(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing(copyAll + ", {path: other, action: sync, target: /way/lib}, {path: one, action: sync, target: /etc}"),
		"src/data/f": "one", "src/kept": "x", "other/x": "x", "one": "x"})
	s.up()
	// The container puts links to elsewhere where it was given folders, and at a target.
	s.sh("a", "mkdir -p /else /way; echo mine > /else/f; echo mine > /else/g; rm -rf /app/data; ln -s /else /app/data; ln -s /else /way/lib")
	n := len(s.idle("a").Changes)
	s.write(map[string]string{"src/data/g": "two"})
	s.change("a", "sync", n)
	if got := s.sh("a", "cat /else/f /else/g /app/data/g; readlink /app/data || echo folder"); got != "mine\nmine\ntwofolder" {
		t.Errorf("a file below a link: %q; want the link replaced, and what it led to as it was", got)
	}
	s.sh("a", "rm -rf /app/data; ln -s /else /app/data")
	n = len(s.idle("a").Changes)
	s.must(os.Remove(s.path("src/data/g")))
	s.change("a", "sync", n)
	if got := s.sh("a", "cat /else/f /else/g"); got != "mine\nmine" {
		t.Errorf("a deletion below a link: %q", got)
	}
	s.sh("a", "mv /app /moved; ln -s /else /app")
	n = len(s.idle("a").Changes)
	s.write(map[string]string{"src/f": "x"})
	s.until("refusal", func(n *engine.Snapshot) bool {
		return strings.Contains(find(n, "a").Last.Err, "the target /app is a link to /else in the container; name that as the target")
	})
	s.must(os.Remove(s.path("src/kept")), os.RemoveAll(s.path("src/data")), os.Remove(s.path("src/f")))
	s.change("a", "sync", n+1)
	if got := s.sh("a", "cat /else/f /else/g; rm /app; mv /moved /app"); got != "mine\nmine" {
		t.Errorf("a deletion in a target that has become a link: %q", got)
	}
	for file, want := range map[string]string{
		"other/x": "the target /way/lib is a link to /else in the container; name that as the target",
		"one":     "the target /etc is a folder in the container; write /etc/ to put the file into it",
	} {
		s.write(map[string]string{file: "new"})
		s.until("refusal of "+file, func(n *engine.Snapshot) bool {
			a := find(n, "a")
			return a.Last != nil && strings.Contains(a.Last.Err, want) && len(a.Stale) > 0
		})
	}
	if got := s.sh("a", "ls /else; cat /etc/passwd"); !strings.HasPrefix(got, "f\ng\nroot:") {
		t.Errorf("after the refusals: %q", got)
	}
	s.sh("a", "mkdir -m 1777 /app/theirs; chown 77 /app/theirs")
	s.write(map[string]string{"src/theirs/x": "1"})
	s.until("sync into their folder", func(*engine.Snapshot) bool { _, err := s.tryCat("a", "/app/theirs/x"); return err == nil })
	if got := s.sh("a", "stat -c '%a %u' /app/theirs"); got != "1777 77" {
		t.Errorf("a folder that the container made for itself is now %s", got)
	}
	// A folder with the container's own files does not make room for a file.
	s.sh("a", "mkdir /app/own; touch /app/own/data")
	s.write(map[string]string{"src/own": "file", "src/with-it": "file"})
	s.until("refusal of own", func(n *engine.Snapshot) bool {
		return strings.Contains(strings.Join(n.Warnings, " "), "/app/own is a folder there") && slices.Contains(find(n, "a").Stale, s.path("src/own"))
	})
	s.sh("a", "ls /app/own/data /app/with-it")
}

func TestDeletedWhileStoppedIsGoneWhoeverStartsItNext(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing(copyAll), "src/one": "1", "src/two/x": "2", "src/three": "3", "src/kept": "x"})
	s.up()
	id := s.identities()["a/1"].ID
	for round, gone := range []string{"one", "two", "three"} {
		s.must(s.rt.Stop(t.Context(), id, 0))
		s.until("stopped", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
		n := len(find(s.Snapshot(), "a").Changes)
		s.must(os.RemoveAll(s.path("src/" + gone)))
		s.change("a", "sync", n)
		switch round {
		case 0: // somebody else starts it under our eyes
			s.must(s.rt.Start(t.Context(), engine.CreateSpec{}, id))
		case 1: // and while we are away
			s.must(s.stop())
			s.must(s.rt.Start(t.Context(), engine.CreateSpec{}, id))
			s.up()
		case 2: // we do, after our own end
			s.must(s.stop())
			s.up()
		}
		s.until("the file gone", func(*engine.Snapshot) bool { return !strings.Contains(s.sh("a", "ls -d /app/*"), gone) })
	}
	if got := s.sh("a", "ls /app"); got != "kept" {
		t.Errorf("left: %q", got)
	}
	// What comes back before the start stays.
	s.write(map[string]string{"src/back/x": "1", "src/back/y": "1"})
	s.until("synced", func(*engine.Snapshot) bool { _, err := s.tryCat("a", "/app/back/y"); return err == nil })
	s.must(s.rt.Stop(t.Context(), id, 0))
	s.until("stopped", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
	n := len(s.idle("a").Changes)
	s.must(os.RemoveAll(s.path("src/back")))
	s.change("a", "sync", n)
	s.write(map[string]string{"src/back/x": "2"})
	s.change("a", "sync", n+1)
	s.must(s.rt.Start(t.Context(), engine.CreateSpec{}, id))
	s.until("y gone, x new", func(*engine.Snapshot) bool { return s.sh("a", "cd /app/back; ls; cat x") == "x\n2" })
}

func TestDeletesNeedNoProgramInTheImageAndTakeAnyName(t *testing.T) {
	odd := []string{"-rf", "a b", "line\nbreak", "\xff\xfe", "*", "ünï", "'quote"}
	files := map[string]string{
		"Dockerfile": "FROM " + baseImage + " AS base\nFROM scratch\nCOPY --from=base /bin/busybox /busybox\n",
		"compose.yaml": `
services:
  a:
    build: .
    command: [/busybox, sleep, "1000"]
    develop: {watch: [{path: src, action: sync, target: /app, initial_sync: true}]}
`,
		"src/kept": "x",
	}
	for _, name := range odd {
		files["src/d/"+name] = "x"
	}
	s := open(t, files)
	s.up()
	list := func() string {
		var out strings.Builder
		code, err := s.Exec(t.Context(), "a", 0, engine.ExecOptions{Cmd: []string{"/busybox", "find", "/app", "-type", "f"}, Stdout: &out})
		if err != nil || code != 0 {
			t.Fatalf("find: %d, %v", code, err)
		}
		return out.String()
	}
	if got := list(); strings.Count(got, "/app/d/") != len(odd) {
		t.Fatalf("the initial sync gave %q", got)
	}
	s.must(s.rt.Pause(t.Context(), s.identities()["a/1"].ID)) // a paused one is within reach
	for _, name := range odd {
		s.must(os.Remove(s.path("src/d/" + name)))
	}
	s.until("deletions", func(n *engine.Snapshot) bool {
		a := find(n, "a")
		return a.Last != nil && a.Last.Action == "sync" && !a.Last.Ended.IsZero() && len(a.Pending) == 0
	})
	s.must(s.rt.Unpause(t.Context(), s.identities()["a/1"].ID))
	s.until("running", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
	if got := list(); got != "/app/kept\n" {
		t.Errorf("left: %q", got)
	}
}

func TestSyncedFilesBelongToWhoIsToUseThem(t *testing.T) {
	const rules = "develop: {watch: [{path: src, action: sync, target: /www, initial_sync: true}]}"
	s := open(t, map[string]string{"src/f": "x", "src/dir/g": "x", "compose.yaml": fmt.Sprintf(`
services:
  number: {image: %[1]s, command: %[2]s, user: "1234:77", %[3]s}
  named: {build: {dockerfile_inline: "FROM %[1]s\nRUN echo app:x:1001:1002::/:/bin/sh >> /etc/passwd\nUSER app"}, command: %[2]s, %[3]s}
  root: {build: {dockerfile_inline: "FROM %[1]s\nRUN chown 33:34 /www"}, command: %[2]s, %[3]s}
  host: {image: %[1]s, command: %[2]s, user: "1234:77", x-bulkhead: {sync_owner: host}, %[3]s}
`, baseImage, loop, rules)})
	if os.Geteuid() == 0 {
		s.must(os.Chown(s.path("src/f"), 4242, 4343))
	}
	fi, err := os.Stat(s.path("src/f"))
	s.must(err)
	h, err := tar.FileInfoHeader(fi, "")
	s.must(err)
	s.up()
	for service, want := range map[string]string{"number": "1234:77", "named": "1001:1002", "root": "33:34", "host": fmt.Sprintf("%d:%d", h.Uid, h.Gid)} {
		if got := s.sh(service, "stat -c %u:%g /www/f"); got != want {
			t.Errorf("%s: the initial sync gave it to %s, want %s", service, got, want)
		}
	}
	s.write(map[string]string{"src/f": "y", "src/dir/new/h": "y"})
	for service, want := range map[string]string{"number": "1234:77", "named": "1001:1002", "root": "33:34"} {
		s.until("sync to "+service, func(*engine.Snapshot) bool {
			got, err := s.tryCat(service, "/www/dir/new/h")
			return err == nil && got == "y"
		})
		if got := s.sh(service, "cd /www; stat -c %u:%g f dir dir/new dir/new/h | sort -u"); got != want {
			t.Errorf("%s: the sync gave to %s, want %s", service, got, want)
		}
	}
	code, err := s.Exec(t.Context(), "number", 0, engine.ExecOptions{Cmd: []string{"sh", "-c", "echo more >> /www/f && touch /www/dir/new/own"}})
	if err != nil || code != 0 {
		t.Errorf("the service cannot write what it was given: %d, %v", code, err)
	}
}

func TestContainerIsBroughtUpToDateWhateverHappenedToIt(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing("{path: src, action: sync, target: /app}"), "src/f": "0", "src/old": "x"})
	s.up()
	has := func(want string) {
		t.Helper()
		s.until("f to be "+want, func(*engine.Snapshot) bool { got, err := s.tryCat("a", "/app/f"); return err == nil && got == want })
	}
	s.write(map[string]string{"src/f": "1", "src/old": "y"})
	has("1")

	s.must(s.stop()) // while bulkhead does not run
	s.write(map[string]string{"src/f": "2"})
	s.must(os.Remove(s.path("src/old")))
	s.up()
	has("2")
	s.until("old gone", func(*engine.Snapshot) bool { _, err := s.tryCat("a", "/app/old"); return err != nil })

	s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}}) // while it is stopped
	s.write(map[string]string{"src/f": "3"})
	s.do(engine.Command{Verb: engine.VerbStart, Services: []string{"a"}})
	has("3")

	p, err := s.load(t.Context())
	s.must(err)
	img, err := s.rt.Image(t.Context(), baseImage, "")
	s.must(err)
	again := func() { // somebody else makes it anew
		s.must(s.rt.Remove(t.Context(), s.identities()["a/1"].ID, true, true))
		spec := engine.CreateSpec{App: engine.App(p), Service: engine.Wanted(p.Service("a")), Hash: p.Service("a").Hash, Replica: 1, Image: img}
		id, err := s.rt.Create(t.Context(), spec)
		s.must(err, s.rt.Start(t.Context(), spec, id))
	}
	again()
	has("3")
	s.must(s.stop()) // and while we are away, too
	s.write(map[string]string{"src/f": "4"})
	again()
	s.up()
	has("4")
	s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
	has("4")

	s.do(engine.Command{Verb: engine.VerbWatch, Services: []string{"a"}, Mode: project.Manual}) // and where we may not, it says so
	again()
	s.until("stale", func(n *engine.Snapshot) bool { return len(find(n, "a").Stale) > 0 })
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
	has("4")
}

// In the image the files belong to user 77. One that is sent again belongs to root, as the target does.
func TestInitialSyncSendsOnlyWhatDiffers(t *testing.T) {
	dockerfile := "FROM " + baseImage + "\nCOPY --chown=77 src /app\nRUN rm /app/missing && echo other > /app/same-size && chown 77 /app/same-size && chown 0 /app\n"
	files := map[string]string{"Dockerfile": dockerfile, "src/missing": "x", "src/same-size": "x1234\n", "src/deep/kept": "x", "src/kept": "x", "compose.yaml": `
services:
  a:
    build: .
    command: ` + loop + `
    develop: {watch: [{path: src, action: sync, target: /app, initial_sync: true}]}
`}
	s := open(t, files)
	s.up()
	const look = "cd /app; stat -c '%n %u' missing same-size kept deep deep/kept; cat same-size"
	if got, want := s.sh("a", look), "missing 0\nsame-size 0\nkept 77\ndeep 77\ndeep/kept 77\nx1234"; got != want {
		t.Errorf("of an image of ours:\n%s\nwant\n%s", got, want)
	}
	s.must(s.stop())
	s.must(s.rt.Remove(t.Context(), s.identities()["a/1"].ID, true, true))
	s.state = t.TempDir() // as if somebody else had built it
	later := time.Now().Add(time.Hour)
	s.must(os.Chtimes(s.path("src/kept"), later, later))
	s.run(engine.Options{Build: engine.BuildNever})
	s.ready()
	if got, want := s.sh("a", look), "missing 0\nsame-size 0\nkept 77\ndeep 77\ndeep/kept 77\nx1234"; got != want {
		t.Errorf("of somebody else's image:\n%s\nwant\n%s", got, want)
	}
}

func TestRulesMayOverlapAndReplicasGetTheSame(t *testing.T) {
	s := open(t, map[string]string{
		"src/web/index.html": "1", "src/web/app.js": "1", "src/web/app.test.js": "1", "conf/app.yaml": "1", "root/opt/x": "1",
		"compose.yaml": syncing(`{path: src, action: sync, target: /app, initial_sync: true}, {path: src/web, action: sync, target: /www/, initial_sync: true, include: ["**/*.js"], ignore: ["**/*.test.js"]}, `+
			`{path: conf/app.yaml, action: sync, target: /etc/app/, initial_sync: true}, {path: root, action: sync, target: /, initial_sync: true}`, "scale: 2"),
	})
	s.up()
	const want = "/app/web/app.js /app/web/app.test.js /app/web/index.html /etc/app/app.yaml /opt/x /www/app.js"
	look := func(n int, cmd string) string {
		var out strings.Builder
		code, err := s.Exec(t.Context(), "a", n, engine.ExecOptions{Cmd: []string{"sh", "-c", cmd}, Stdout: &out})
		if err != nil || code != 0 { // a file that is being replaced is not there for a moment
			return fmt.Sprintf("%s: %d, %v", cmd, code, err)
		}
		return strings.Join(strings.Fields(out.String()), " ")
	}
	for n := 1; n <= 2; n++ {
		if got := look(n, "find /app /www /etc/app /opt -type f | sort"); got != want {
			t.Errorf("replica %d has %s, want %s", n, got, want)
		}
	}
	s.write(map[string]string{"src/web/app.js": "2", "conf/app.yaml": "2"})
	for n := 1; n <= 2; n++ {
		s.until("second state", func(*engine.Snapshot) bool {
			return look(n, "cat /app/web/app.js /www/app.js /etc/app/app.yaml") == "222"
		})
	}
	s.must(os.RemoveAll(s.path("src/web")), os.RemoveAll(s.path("root")))
	for n := 1; n <= 2; n++ {
		s.until("deletions", func(*engine.Snapshot) bool {
			return look(n, "find /app /www /opt -type f | sort; ls -d /www /bin") == "/bin /www"
		})
	}
}

func TestVolumesInATargetAreLeftAlone(t *testing.T) {
	s := open(t, map[string]string{"src/f": "1", "src/bind/b": "1", "src/gone/vol/x": "1", "src/gone/y": "1",
		"compose.yaml": syncing(copyAll, "volumes: [./src/bind:/app/bind, data:/app/gone/vol]") + "volumes: {data: {}}\n"})
	s.up()
	s.sh("a", "echo own > /app/gone/vol/own")
	before, err := os.Stat(s.path("src/bind/b"))
	s.must(err)
	n := len(s.idle("a").Changes)
	s.write(map[string]string{"src/bind/b": "2", "src/f": "2"})
	c := s.change("a", "sync", n)
	if len(c.Paths) != 1 {
		t.Errorf("paths %v; what is bind-mounted needs no sync", c.Paths)
	}
	if after, err := os.Stat(s.path("src/bind/b")); err != nil || !os.SameFile(before, after) {
		t.Errorf("the bind-mounted file was replaced: %v", err)
	}
	n = len(s.idle("a").Changes)
	s.must(os.RemoveAll(s.path("src/gone")))
	s.change("a", "sync", n)
	if got := s.sh("a", "find /app/gone -type f"); got != "/app/gone/vol/own" {
		t.Errorf("left in the folder that is gone here: %q; want what the container wrote into its volume", got)
	}
}

func TestSyncIsDoneAlsoWhenTheRebuildOfItsBatchChangesNothing(t *testing.T) {
	files := map[string]string{
		"a/Dockerfile": "FROM " + baseImage + "\nCMD " + strings.ReplaceAll(loop, "$$", "$") + "\n", "src/f": "1",
		"compose.yaml": "services:\n  a: {build: a, develop: {watch: [{path: a, action: rebuild}, {path: src, action: sync, target: /app}]}}\n",
	}
	s := open(t, files)
	s.up()
	before := s.identities()
	s.write(map[string]string{"a/Dockerfile": "# a remark\n" + files["a/Dockerfile"], "src/f": "2"})
	s.until("sync", func(*engine.Snapshot) bool { got, err := s.tryCat("a", "/app/f"); return err == nil && got == "2" })
	if after := s.identities(); after["a/1"] != before["a/1"] {
		t.Errorf("the container moved: %v, was %v", after, before)
	}
}

func TestTmpfsIsRefusedBecauseCopiesDoNotReachIt(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing(copyAll, "tmpfs: [/app]"), "src/f": "1"})
	s.up()
	if a := find(s.Snapshot(), "a"); len(a.Stale) == 0 || !strings.Contains(strings.Join(s.Snapshot().Warnings, " "), "/app/f lies in a tmpfs") {
		t.Errorf("stale %v, warnings %v", a.Stale, s.Snapshot().Warnings)
	}
}

// counted counts tar streams.
type counted struct {
	*docker.Runtime
	streams atomic.Int32
}

func (c *counted) CopyTo(ctx context.Context, id, below string, tar io.Reader, replace bool) error {
	c.streams.Add(1)
	return c.Runtime.CopyTo(ctx, id, below, tar, replace)
}

func TestBurstIsOneStreamForEachContainer(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing(copyAll), "src/f": "1"})
	rt := &counted{Runtime: s.rt}
	s.run(engine.Options{Runtime: rt})
	s.ready()
	s.do(engine.Command{Verb: engine.VerbWatch, Mode: project.Manual})
	files := map[string]string{}
	for i := range 2000 {
		files[fmt.Sprintf("src/d%d/e%d/f%d", i%20, i%200, i)] = fmt.Sprint(i)
	}
	s.write(files)
	s.until("all of it seen", func(n *engine.Snapshot) bool { return len(find(n, "a").Stale) >= 2000+20+200 })
	before := rt.streams.Load()
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
	t.Logf("2,000 files: %+v", find(s.Snapshot(), "a").Last.Stages)
	if got := s.sh("a", "find /app -type f | wc -l"); got != "2001" {
		t.Errorf("the container has %s files", got)
	}
	if got := rt.streams.Load() - before; got != 1 {
		t.Errorf("%d streams", got)
	}
}

// Where the root file system is read-only, and the target a volume that is not, files come once the
// container runs: before that the engine writes nowhere.
func TestReadOnlyServiceGetsItsFilesOnceItRuns(t *testing.T) {
	s := open(t, map[string]string{"src/f": "1", "compose.yaml": fmt.Sprintf(`
services:
  a:
    image: %s
    command: %s
    network_mode: none
    read_only: true
    volumes: ["data:/t"]
    develop: {watch: [{path: src, action: sync, target: /t, initial_sync: true}]}
volumes: {data: {}}
`, baseImage, loop)})
	s.up()
	s.eventually("the first file", func() bool { text, err := s.tryCat("a", "/t/f"); return err == nil && text == "1" })
	s.write(map[string]string{"src/f": "2"})
	s.eventually("the save", func() bool { text, err := s.tryCat("a", "/t/f"); return err == nil && text == "2" })
}
