package docker

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

const sleeper = "services:\n  web:\n    image: IMAGE\n"

func TestContainerLivesAndIsSeen(t *testing.T) {
	b := open(t, `
services:
  web:
    image: IMAGE
    init: true
    command: [sleep, "600"]
    ports: ["127.0.0.1::80", "53/udp"]
    volumes: [data:/data]
    healthcheck: {test: ["CMD", "true"], interval: 300ms, timeout: 60s}
volumes: {data: }
`)
	spec := b.spec("web")
	spec.Content = "abc"
	id, err := b.rt.Create(b.ctx, spec)
	b.ok(err)
	in := b.inspect(id)
	if in.State != container.StateCreated || in.Replica != 1 || in.Number != "1" || in.Service != "web" || in.Name != b.p.Name+"-web-1" {
		t.Fatalf("created: %+v", in)
	}
	if in.Hash != b.p.Service("web").Hash || in.Digest != spec.Image.Digest || in.Content != "abc" || in.ImageRef != testImage("tools") {
		t.Fatalf("labels: %+v", in)
	}
	b.ok(b.rt.Start(b.ctx, spec, id))
	b.until("it is healthy", func() bool { return b.inspect(id).Health == container.Healthy })
	in = b.inspect(id)
	if in.State != container.StateRunning || in.Pid == 0 || in.Started.IsZero() || !in.Finished.IsZero() {
		t.Errorf("running: %+v", in)
	}
	if len(in.Ports) != 2 || in.Ports[0].Target != 53 || in.Ports[0].Protocol != "udp" || in.Ports[0].Host != "" || in.Ports[1].Host != "127.0.0.1" || in.Ports[1].Published == 0 {
		t.Errorf("ports: %+v", in.Ports)
	}
	if _, on := in.Networks[b.p.Name+"_default"]; !on || len(in.Networks) != 1 || fmt.Sprint(in.Volumes) != "["+b.p.Name+"_data]" {
		t.Errorf("volumes %v, networks %v", in.Volumes, in.Networks)
	}
	if fmt.Sprint(in.Check) != "[true]" || in.HealthTimeout != time.Minute || in.LogDriver != "json-file" {
		t.Errorf("check %v %v, log driver %q", in.Check, in.HealthTimeout, in.LogDriver)
	}

	b.ok(b.rt.Pause(b.ctx, id))
	if s := b.inspect(id).State; s != container.StatePaused {
		t.Errorf("paused: %v", s)
	}
	b.ok(b.rt.Unpause(b.ctx, id))
	b.ok(b.rt.Rename(b.ctx, id, b.p.Name+"-other"))
	if n := b.inspect(id).Name; n != b.p.Name+"-other" {
		t.Errorf("renamed: %s", n)
	}
	b.ok(b.rt.Kill(b.ctx, id, "KILL"))
	b.until("it is dead", func() bool { return b.inspect(id).State == container.StateExited })
	if in = b.inspect(id); in.ExitCode != 137 || in.Finished.IsZero() {
		t.Errorf("killed: %+v", in)
	}
	if err := b.rt.Kill(b.ctx, id, "KILL"); !errors.Is(err, container.ErrConflict) {
		t.Errorf("kill of a dead one: %v", err)
	}
	b.ok(b.rt.Remove(b.ctx, id, false, true))
	b.ok(b.rt.Remove(b.ctx, id, false, true))
	if _, err := b.rt.Inspect(b.ctx, id); !errors.Is(err, container.ErrNotFound) {
		t.Errorf("inspect of a removed one: %v", err)
	}
}

func TestInstancesAreSortedAndWithoutOneOffs(t *testing.T) {
	b := open(t, "services:\n  b: {image: IMAGE}\n  a: {image: IMAGE}\n")
	second := b.spec("a")
	second.Replica = 2
	_, err := b.rt.Create(b.ctx, second)
	b.ok(err)
	b.create("b")
	b.create("a")
	oneOff := b.spec("a")
	labels := containerLabels(oneOff, "x")
	labels[labelOneOff] = "True"
	opt, _, err := b.rt.createOptions(b.ctx, oneOff, 41)
	b.ok(err)
	opt.Config.Labels, opt.Name = labels, b.p.Name+"-a-run-1"
	_, err = b.rt.cli.ContainerCreate(b.ctx, opt)
	b.ok(err)

	list, err := b.rt.Instances(b.ctx, b.p.Name)
	b.ok(err)
	var names []string
	for _, in := range list {
		names = append(names, strings.TrimPrefix(in.Name, b.p.Name+"-"))
	}
	if got := strings.Join(names, " "); got != "a-1 a-2 b-1" {
		t.Errorf("instances: %s", got)
	}
}

func TestEventsComeInOrderAndFromSince(t *testing.T) {
	b := open(t, sleeper)
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	seen := make(chan container.Event, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- b.rt.Events(ctx, b.p.Name, time.Now(), func(e container.Event) { seen <- e })
	}()
	id := b.start("web")
	b.run(id, "true") // an exec makes events of its own
	b.ok(b.rt.Pause(b.ctx, id))
	b.ok(b.rt.Unpause(b.ctx, id))
	b.ok(b.rt.Stop(b.ctx, id, 0))
	b.ok(b.rt.Rename(b.ctx, id, b.p.Name+"-renamed"))
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	want := []container.EventKind{
		container.EventCreated, container.EventStarted, container.EventPaused, container.EventUnpaused,
		container.EventKilled, container.EventKilled, container.EventDied, container.EventStopped, container.EventRenamed, container.EventRemoved,
	}
	var all []container.Event
	// An engine may replay and stream what falls on the border. And it tells of a pause and its end
	// once more, when containerd's word of them comes after the end.
	doubled := func(e container.Event) bool {
		return slices.ContainsFunc(all, func(a container.Event) bool {
			return a == e || a.Kind == e.Kind && (e.Kind == container.EventPaused || e.Kind == container.EventUnpaused)
		})
	}
	for len(all) < len(want) {
		select {
		case e := <-seen:
			if !doubled(e) {
				all = append(all, e)
			}
		case err := <-ended:
			t.Fatal(err)
		case <-b.ctx.Done():
			t.Fatalf("only %+v", all)
		}
	}
	for i, e := range all {
		if e.Kind != want[i] || e.ID != id || e.Service != "web" || e.Replica != 1 {
			t.Errorf("event %d: %+v, want kind %v", i, e, want[i])
		}
	}
	if all[4].Signal != "15" || all[5].Signal != "9" || all[6].ExitCode != 137 {
		t.Errorf("killed %+v, %+v, died %+v", all[4], all[5], all[6])
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended by %v", err)
	}

	// From the time of one event on, that one is the first.
	ctx, cancel = context.WithCancel(b.ctx)
	defer cancel()
	var again []container.Event
	b.rt.Events(ctx, b.p.Name, all[3].Time, func(e container.Event) {
		if !slices.Contains(all, e) && doubled(e) {
			return
		}
		if again = append(again, e); len(again) == len(want)-3 {
			cancel()
		}
	})
	if len(again) != len(want)-3 || again[0] != all[3] || again[len(again)-1] != all[len(all)-1] {
		t.Errorf("from %v on: %+v", all[3].Time, again)
	}
}

type line struct {
	stream container.Stream
	at     time.Time
	text   string
}

func (b *bench) log(id string, o container.LogOptions) []line {
	b.Helper()
	var all []line
	b.ok(b.rt.Logs(b.ctx, id, o, func(l container.Line) {
		all = append(all, line{l.Stream, l.Time, string(l.Text)})
	}))
	return all
}

func TestFirstAndLastLogLineAreNeverLost(t *testing.T) {
	b := open(t, "services:\n  web:\n    image: IMAGE\n    command: [sh, -c, 'echo first; echo bad >&2; echo last']\n    network_mode: none\n")
	for round := range 20 {
		id := b.create("web")
		before := time.Now()
		b.ok(b.rt.Start(b.ctx, b.spec("web"), id))
		all := b.log(id, container.LogOptions{Tail: -1, Follow: true})
		if len(all) != 3 {
			t.Fatalf("round %d: %+v", round, all)
		}
		var out []string
		for _, l := range all {
			if l.stream == container.Stdout {
				out = append(out, l.text)
			} else if l.stream != container.Stderr || l.text != "bad" {
				t.Errorf("round %d: %+v", round, l)
			}
			if after := time.Now(); l.at.Before(before) || l.at.After(after) {
				t.Errorf("round %d: time %v, want between %v and %v", round, l.at, before, after)
			}
		}
		if strings.Join(out, " ") != "first last" {
			t.Fatalf("round %d: %q", round, out)
		}
		b.ok(b.rt.Remove(b.ctx, id, true, true))
	}
}

func TestLogsKeepSinceTailLongLinesAndTerminals(t *testing.T) {
	b := open(t, `
services:
  plain:
    image: IMAGE
    command: [sh, -c, 'echo one; echo two; yes 0123456789 | head -n 5000 | tr -d "\n"; echo; echo three; printf four']
  tty:
    image: IMAGE
    tty: true
    command: [sh, -c, 'echo one; echo two; yes 0123456789 | head -n 5000 | tr -d "\n"; echo; echo three; printf four']
  silent:
    image: IMAGE
    logging: {driver: none}
    command: [sh, -c, 'echo one; echo two >&2']
`)
	long := strings.Repeat("0123456789", 5000)
	for _, service := range []string{"plain", "tty"} {
		id := b.start(service)
		all := b.log(id, container.LogOptions{Tail: -1, Follow: true})
		var text []string
		for _, l := range all {
			text = append(text, l.text)
		}
		if strings.Join(text, " ") != "one two "+long+" three four" {
			t.Fatalf("%s: %d lines: %.200q", service, len(text), text)
		}
		if since := b.log(id, container.LogOptions{Tail: -1, Since: all[1].at}); len(since) != 4 || since[0] != all[1] {
			t.Errorf("%s: since the second line: %d lines", service, len(since))
		}
		if since := b.log(id, container.LogOptions{Tail: -1, Since: all[1].at.Add(1)}); len(since) != 3 {
			t.Errorf("%s: after the second line: %d lines", service, len(since))
		}
		if until := b.log(id, container.LogOptions{Tail: -1, Until: all[1].at}); len(until) != 2 {
			t.Errorf("%s: until the second line: %d lines", service, len(until))
		}
		if tail := b.log(id, container.LogOptions{Tail: 2}); len(tail) != 2 || tail[1].text != "four" {
			t.Errorf("%s: tail: %.100v", service, tail)
		}
	}

	id := b.create("silent")
	attached, ended := make(chan struct{}), make(chan error, 1)
	var all []line
	go func() {
		ended <- b.rt.Attach(b.ctx, id, attached, func(l container.Line) {
			all = append(all, line{l.Stream, l.Time, string(l.Text)})
		})
	}()
	<-attached
	b.ok(b.rt.Start(b.ctx, b.spec("silent"), id))
	b.ok(<-ended)
	if len(all) != 2 || all[0].text+all[1].text != "onetwo" && all[0].text+all[1].text != "twoone" {
		t.Errorf("attached: %+v", all)
	}
	err := b.rt.Logs(b.ctx, id, container.LogOptions{Tail: -1}, func(container.Line) {})
	if !errors.Is(err, container.ErrUnsupported) {
		t.Errorf("log of driver none: %v", err)
	}
}

func TestAnonymousVolumesAreInherited(t *testing.T) {
	b := open(t, "services:\n  web:\n    image: VOLUME\n    user: root\n    volumes: [/mine, named:/named]\nvolumes: {named: }\n")
	old := b.start("web")
	b.run(old, "sh", "-c", "echo kept >/data/x; echo too >/mine/x")
	b.ok(b.rt.Stop(b.ctx, old, 0))
	spec := b.spec("web")
	spec.Inherit, spec.Name = old, "tmp-"+b.p.Name
	id, err := b.rt.Create(b.ctx, spec)
	b.ok(err)
	b.ok(b.rt.Remove(b.ctx, old, false, false))
	b.ok(b.rt.Rename(b.ctx, id, b.p.Name+"-web-1"))
	b.ok(b.rt.Start(b.ctx, spec, id))
	if out, _ := b.run(id, "cat", "/data/x", "/mine/x"); out != "kept\ntoo\n" {
		t.Errorf("inherited: %q", out)
	}
	raw, err := b.rt.cli.ContainerInspect(b.ctx, id, client.ContainerInspectOptions{})
	b.ok(err)
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	for _, m := range raw.Container.Mounts {
		_, err := b.rt.cli.VolumeInspect(b.ctx, m.Name, client.VolumeInspectOptions{})
		if named := m.Destination == "/named"; named != (err == nil) {
			t.Errorf("volume of %s after the removal: %v", m.Destination, err)
		}
	}
}

// The addresses of the machine are the gateway by which the container leaves, and what host-gateway became in its hosts file.
func TestAddressesOfTheMachineAreThoseThatTheContainerHas(t *testing.T) {
	b := open(t, `
services:
  web:
    image: IMAGE
    extra_hosts: {outside: host-gateway}
  plain: {image: IMAGE}
`)
	for service, line := range map[string]string{"web": `(?m)^(\S+)\s+outside$`, "plain": `()`} {
		id := b.start(service)
		n, err := b.rt.Network(b.ctx, b.p.Name, id)
		b.ok(err)
		routes, _ := b.run(id, "cat", "/proc/net/route")
		hosts, _ := b.run(id, "cat", "/etc/hosts")
		gateway, err := hex.DecodeString(submatch(routes, `(?m)^\S+\t00000000\t(\S{8})\t`)) // in the order of a little-endian machine
		b.ok(err)
		slices.Reverse(gateway)
		want := net.IP(gateway).String()
		if outside := submatch(hosts, line); outside != "" {
			want += " " + outside
		}
		if got := strings.Trim(fmt.Sprint(n.Machine), "[]"); got != want {
			t.Errorf("%s: addresses of the machine %s, want %s\n%s%s", service, got, want, routes, hosts)
		}
	}
}

// submatch is what the group of a pattern matches first, "" for nothing.
func submatch(text, pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func TestNetworksGiveAliasesAndNames(t *testing.T) {
	needLocal(t) // for DialInstance
	b := open(t, `
services:
  web:
    image: IMAGE
    networks:
      front: {aliases: [shop], priority: 1}
      back: {aliases: [api], priority: 2}
  db:
    image: IMAGE
    networks: {back: {}}
  beside:
    image: IMAGE
    network_mode: service:db
networks: {front: {}, back: {}}
`)
	web, db := b.start("web"), b.start("db")
	if in := b.inspect(web); fmt.Sprint(slices.Sorted(maps.Keys(in.Networks))) != fmt.Sprintf("[%s_back %s_front]", b.p.Name, b.p.Name) {
		t.Errorf("networks of web: %v", in.Networks)
	}
	raw, err := b.rt.cli.ContainerInspect(b.ctx, web, client.ContainerInspectOptions{})
	b.ok(err)
	if mode := string(raw.Container.HostConfig.NetworkMode); mode != b.p.Name+"_back" {
		t.Errorf("primary network: %s", mode)
	}
	for _, name := range []string{"web", "api", b.p.Name + "-web-1"} {
		if out, code := b.run(db, "nslookup", "-type=a", name); code != 0 {
			t.Errorf("db does not find %s: %s", name, out)
		}
	}
	if _, code := b.run(db, "nslookup", "-type=a", "shop"); code == 0 {
		t.Error("db finds an alias of a network that it is not on")
	}

	beside := b.spec("beside")
	if _, err := b.rt.Create(b.ctx, beside); err == nil || !strings.Contains(err.Error(), "service db has no container yet") {
		t.Errorf("without its parent: %v", err)
	}
	beside.Parents = map[string]string{"db": db}
	hash, err := project.ConfigHash(b.p.Service("beside"), beside.Parents)
	b.ok(err)
	beside.Hash = hash
	id, err := b.rt.Create(b.ctx, beside)
	b.ok(err)
	b.ok(b.rt.Start(b.ctx, beside, id))
	in := b.inspect(id)
	if in.Hash != beside.Hash || in.Hash == b.p.Service("beside").Hash {
		t.Errorf("hash %s, want %s", in.Hash, beside.Hash)
	}
	_, listen := b.run(id, "sh", "-c", "echo hi | nc -l -p 4000 >/dev/null 2>&1 & true")
	if listen != 0 {
		t.Fatal("nc does not listen")
	}
	b.until("the port of the shared network answers", func() bool {
		conn, err := b.rt.DialInstance(b.ctx, id, 4000)
		if err != nil {
			var refused *net.OpError
			if !errors.As(err, &refused) {
				t.Fatal(err)
			}
			return false
		}
		conn.Close()
		return true
	})
}

// TestLinksReachWhatIsMadeLater: services are created in any order, and only started in that of depends_on.
func TestLinksReachWhatIsMadeLater(t *testing.T) {
	b := open(t, `
services:
  web:
    image: IMAGE
    links: ["db:store"]
  db:
    image: IMAGE
`)
	web := b.create("web")
	b.start("db")
	b.ok(b.rt.Start(b.ctx, b.spec("web"), web))
	if out, code := b.run(web, "nslookup", "-type=a", "store"); code != 0 {
		t.Errorf("web does not find store: %s", out)
	}
}

func TestSecretsAndConfigsArriveBeforeTheStart(t *testing.T) {
	t.Setenv("BHDOCK_TOKEN", "t0ken")
	b := open(t, `
services:
  web:
    image: VOLUME
    command: [sh, -c, 'cat /run/secrets/token /run/secrets/dir/named /conf /etc/app.conf; stat -c "%u:%g %a" /run/secrets/dir/named /conf; sleep 600']
    secrets:
      - token
      - {source: token, target: dir/named, uid: "12", gid: "34", mode: 0400}
    configs:
      - conf
      - {source: file, target: /etc/app.conf}
    user: "12"
secrets:
  token: {environment: BHDOCK_TOKEN}
configs:
  conf: {content: "a=b\n"}
  file: {file: ./compose.yaml}
`)
	id := b.start("web")
	text := ""
	b.until("it has written its output", func() bool {
		text = ""
		for _, l := range b.log(id, container.LogOptions{Tail: -1}) {
			text += l.text + "\n"
		}
		return strings.HasSuffix(text, "0:0 444\n")
	})
	if !strings.HasPrefix(text, "t0kent0kena=b\n") || !strings.Contains(text, "configs:") || !strings.Contains(text, "12:34 400\n0:0 444\n") {
		t.Errorf("output: %q", text)
	}
	if out, code := b.run(id, "sh", "-c", "echo x >>/etc/app.conf"); code == 0 {
		t.Errorf("a config is writable: %s", out)
	}
}

func TestTakenPortNamesItsHolder(t *testing.T) {
	needLocal(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	b := open(t, fmt.Sprintf("services:\n  a: {image: IMAGE, ports: ['127.0.0.1:%d:80']}\n  b: {image: IMAGE, ports: ['127.0.0.1:%d:81']}\n", port, port))
	try := func(service, want string) {
		t.Helper()
		id := b.create(service)
		err := b.rt.Start(b.ctx, b.spec(service), id)
		if !errors.Is(err, container.ErrConflict) || !strings.Contains(err.Error(), fmt.Sprintf("port %d is taken by %s", port, want)) {
			t.Errorf("start: %v", err)
		}
		b.ok(b.rt.Remove(b.ctx, id, true, true))
	}
	try("a", fmt.Sprintf("%s (process %d)", filepath.Base(os.Args[0]), os.Getpid()))
	l.Close()
	b.start("a")
	try("b", "container "+b.p.Name+"-a-1 of project "+b.p.Name)
}

func TestNameConflictSaysWhoHasIt(t *testing.T) {
	b := open(t, sleeper)
	b.create("web")
	_, err := b.rt.Create(b.ctx, b.spec("web"))
	if !errors.Is(err, container.ErrConflict) || !strings.Contains(err.Error(), "is taken by a container of project "+b.p.Name) {
		t.Errorf("create: %v", err)
	}
}

// needLocal skips where the engine's processes are not on this machine.
func needLocal(t *testing.T) {
	t.Helper()
	info, err := runtimeForTest(t).Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !info.Local {
		t.Skipf("the engine at %s does not run on this machine", info.Host)
	}
}

func TestHandlesStopIsSeenInTheProcess(t *testing.T) {
	needLocal(t)
	b := open(t, `
services:
  nosignal: {image: IMAGE, command: [sleep, "600"]}
  trap: {image: IMAGE, command: [sh, -c, "trap 'exit 0' TERM; echo ready; while true; do sleep 1; done"]}
  init: {image: IMAGE, init: true, command: [sleep, "600"]}
  stubborn: {image: IMAGE, init: true, command: [sh, -c, "trap '' TERM; echo ready; while true; do sleep 1; done"]}
  usr1: {image: IMAGE, stop_signal: USR1, command: [sh, -c, "trap 'exit 0' TERM; echo ready; while true; do sleep 1; done"]}
`)
	for service, want := range map[string]bool{"nosignal": false, "trap": true, "init": true, "stubborn": false, "usr1": false} {
		id := b.start(service)
		if strings.Contains(strings.Join(b.p.Service(service).Config.Command, " "), "ready") {
			b.until("its traps are set", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) > 0 })
		}
		got, known := false, false
		b.until("its process can be judged", func() bool { // tini forks a moment after the start
			got, known = b.rt.HandlesStop(b.ctx, id)
			return known
		})
		if got != want {
			t.Errorf("%s: %v, want %v", service, got, want)
		}
	}
}

func TestNetworkThatDivergedIsMadeAgainUnlessOthersAreOnIt(t *testing.T) {
	b := open(t, "services:\n  web: {image: IMAGE}\nnetworks: {default: {labels: {a: one}}}\n")
	ensure := func(compose string) bool {
		t.Helper()
		b.load(b.p.Name, compose)
		_, made, err := b.rt.EnsureNetwork(b.ctx, b.network("default"))
		b.ok(err)
		return made
	}
	same := "services:\n  web: {image: IMAGE}\nnetworks: {default: {labels: {a: one}}}\n"
	other := strings.Replace(same, "one", "two", 1)
	if ensure(same) {
		t.Error("the same network is made twice")
	}
	if !ensure(other) {
		t.Error("a diverged network that is free stays")
	}
	id := b.create("web")
	if !ensure(same) || len(b.warnings()) != 0 {
		t.Errorf("with %s of the project on it, which does not run: %q", id, b.warnings())
	}
	name := b.p.Name + "-guest"
	guest, err := b.rt.cli.ContainerCreate(b.ctx, client.ContainerCreateOptions{Name: name, Config: &moby.Config{Image: testImage("tools")},
		HostConfig: &moby.HostConfig{NetworkMode: moby.NetworkMode(b.network("default").Config.Name)}})
	b.ok(err)
	t.Cleanup(func() { _ = b.rt.Remove(context.Background(), guest.ID, true, true) }) // it never ran
	if ensure(other) || len(b.warnings()) != 1 || !strings.Contains(b.warnings()[0], name+" is on it, which is not of this project") {
		t.Errorf("with a guest on it: %q", b.warnings())
	}
	b.load(b.p.Name, "services:\n  web: {image: IMAGE, networks: [x]}\nnetworks: {x: {external: true, name: bhdock-none}}\n")
	if _, _, err := b.rt.EnsureNetwork(b.ctx, b.network("x")); !errors.Is(err, container.ErrNotFound) || !strings.Contains(err.Error(), "docker network create bhdock-none") {
		t.Errorf("external: %v", err)
	}
	b.load(b.p.Name, "services:\n  web: {image: IMAGE, volumes: ['xx:/x']}\nvolumes: {xx: {external: true, name: bhdock-none}}\n")
	if _, err := b.rt.EnsureVolume(b.ctx, b.volume("xx")); !errors.Is(err, container.ErrNotFound) || !strings.Contains(err.Error(), "docker volume create bhdock-none") {
		t.Errorf("external: %v", err)
	}
}

func TestVolumesFromKeepsReadOnly(t *testing.T) {
	b := open(t, "services:\n  a: {image: IMAGE, volumes: ['vv:/v']}\n  b: {image: IMAGE, volumes_from: ['a:ro']}\nvolumes: {vv: }\n")
	spec := b.spec("b")
	spec.Parents = map[string]string{"a": b.start("a")}
	id, err := b.rt.Create(b.ctx, spec)
	b.ok(err)
	b.ok(b.rt.Start(b.ctx, spec, id))
	if out, code := b.run(id, "touch", "/v/x"); code == 0 || !strings.Contains(out, "Read-only") {
		t.Errorf("touch: %d %q", code, out)
	}
}
