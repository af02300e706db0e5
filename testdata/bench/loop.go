package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// The other service keeps docker compose alive while the watched one restarts: it ends when nothing
// of the project runs.
const watched = `
services:
  web:
    build:
      context: .
      dockerfile_inline: |
        FROM scratch
        COPY server /server
        COPY data /data
        ENTRYPOINT ["/server"]
    command: [%COMMAND%]
    ports: ["127.0.0.1:%PORT%:8080"]
    develop:
      watch: [%RULE%]
  other: {image: %IMAGE%}
`

// watchedFiles is the project of one rule.
func (b *bench) watchedFiles(rule, command string) map[string]string {
	return map[string]string{
		"compose.yaml": strings.ReplaceAll(strings.ReplaceAll(watched, "%RULE%", rule), "%COMMAND%", command),
		"server":       string(b.program("0")),
		"data/page":    "0",
	}
}

// eachWatching runs f for each tool while it watches a project of its own; all of them stay up
// until the last has been asked, so that their rounds can alternate.
func (b *bench) eachWatching(ports int, files map[string]string) (all []*watcher, end func(), err error) {
	end = func() {
		for _, w := range all {
			w.end()
		}
	}
	for _, t := range b.tools {
		p, err := b.newProject(t, ports, files)
		if err == nil {
			var w *watcher
			if w, err = p.watch(); err == nil {
				all = append(all, w)
				continue
			}
		}
		end()
		return nil, nil, err
	}
	return all, end, nil
}

// alternate runs the rounds of a case, each tool in turn, and returns the samples of each. The
// first round is not counted.
func (b *bench) alternate(
	all []*watcher, rounds int, f func(w *watcher, round int) (time.Duration, error),
) ([]samples, error) {
	out := make([]samples, 2)
	for round := range rounds + 1 {
		for i, w := range all {
			took, err := f(w, round+1)
			if err != nil {
				return nil, fmt.Errorf("round %d of %s: %w\n%s", round, w.p.tool.name, err, w.said.String())
			}
			if round > 0 {
				out[i].add(took)
			}
			if !settle(b, 300*time.Millisecond) {
				return nil, b.ctx.Err()
			}
		}
	}
	return out, nil
}

// settle lets what a round has stirred up come to rest: it is a pause between samples, and nothing
// waits for it to be long enough.
func settle(b *bench, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-b.ctx.Done():
		return false
	}
}

func (b *bench) syncOne() error {
	all, end, err := b.eachWatching(1, b.watchedFiles("{path: data, action: sync, target: /data}", ""))
	if err != nil {
		return err
	}
	defer end()
	s, err := b.alternate(all, b.rounds, func(w *watcher, round int) (time.Duration, error) {
		text := fmt.Sprintf("round %d", round)
		began := time.Now()
		if err := w.p.write("data/page", []byte(text)); err != nil {
			return 0, err
		}
		err := w.p.serves(w.p.port, "/data/page", func(got string) bool { return got == text })
		return time.Since(began), err
	})
	if err != nil {
		return err
	}
	b.table.row("sync: save -> served", s[0], s[1], 0.10)
	return nil
}

// swapped saves a new program and waits until it answers. Nothing is asked between the old one's
// end and the engine's word that the new one has started: a connection to a container that is not
// there leaves a dead neighbour entry, and the next answer comes a second late.
func swapped(w *watcher, round int, program func(round int) error) (took, gap time.Duration, err error) {
	p := w.p
	events, err := p.b.engine.follow(p.b.ctx, p.name)
	if err != nil {
		return 0, 0, err
	}
	text := fmt.Sprintf("round %d", round)
	began := time.Now()
	if err := program(round); err != nil {
		return 0, 0, err
	}
	served := time.Now() // when the old one was last seen to answer
	for ended := false; !ended; {
		select {
		case v := <-events:
			ended = v.service() == "web" && (v.Action == "kill" || v.Action == "die")
		case <-time.After(3 * time.Millisecond):
			if _, err := ask(p.port, "/"); err == nil {
				served = time.Now()
			}
			if time.Since(began) > time.Minute {
				return 0, 0, fmt.Errorf("nothing was restarted: %w", errLate)
			}
		}
	}
	if _, err := await(p.b.ctx, events, "web", "start"); err != nil {
		return 0, 0, err
	}
	err = p.serves(p.port, "/", func(got string) bool { return got == text })
	return time.Since(began), time.Since(served), err
}

// swaps measures a rule that replaces the program, and the time in which nobody answers.
// least, when given, makes the floor: it returns a function that does the same by bare calls.
func (b *bench) swaps(
	name, rule, command string, rounds int, least func() (func(round int) (time.Duration, error),
		func(), error), ceiling, gapCeiling float64,
) error {
	all, end, err := b.eachWatching(1, b.watchedFiles(rule, command))
	if err != nil {
		return err
	}
	defer end()
	var bare func(round int) (time.Duration, error)
	if least != nil {
		var stop func()
		if bare, stop, err = least(); err != nil {
			return err
		}
		defer stop()
	}
	var floor samples
	var gaps [2]samples
	s, err := b.alternate(all, rounds, func(w *watcher, round int) (time.Duration, error) {
		took, gap, err := swapped(w, round, func(round int) error {
			return w.p.write("server", b.program(fmt.Sprintf("round %d", round)))
		})
		if round > 1 {
			i := 0
			if w.p.tool.rival {
				i = 1
			}
			gaps[i].add(gap)
		}
		if err == nil && bare != nil && !w.p.tool.rival {
			least, ferr := bare(round)
			if ferr != nil {
				return 0, ferr
			}
			if round > 1 {
				floor.add(least)
			}
		}
		return took, err
	})
	if err != nil {
		return err
	}
	r := result{name: name + ": save -> served", ours: s[0], theirs: s[1], floor: floor, mostOfTheirs: ceiling}
	if bare != nil {
		r.mostOfFloor = 1.05
	}
	b.table.print(r)
	b.table.row("  of it nobody answers", gaps[0], gaps[1], gapCeiling)
	return nil
}

const restartRule = "{path: server, action: sync+restart, target: /server}"

func (b *bench) syncRestart() error {
	return b.swaps("sync+restart, 12 MB program", restartRule, "", b.rounds, b.restartFloor, 0, 0)
}

// restartFloor restarts a container of its own with a new program, by bare calls.
func (b *bench) restartFloor() (func(round int) (time.Duration, error), func(), error) {
	port, err := freePorts(1)
	if err != nil {
		return nil, nil, err
	}
	s, err := b.floor.start(b, 1, port, false)
	p := &project{b: b, tool: tool{name: "the floor"}}
	if err == nil {
		err = p.serves(port, "/", nil)
	}
	end := func() {
		if err := s.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return func(round int) (time.Duration, error) {
		version := fmt.Sprintf("round %d", round)
		return s.restart(p, port, b.program(version), version)
	}, end, nil
}

// restartProcess measures the same with `restart: process`, where the container of ours stays: the engine has no word
// on it, and its address is there all the time, so that it may be asked as often as we like.
func (b *bench) restartProcess() error {
	files := b.watchedFiles(restartRule, "")
	files["compose.yaml"] = strings.Replace(files["compose.yaml"], "    ports:",
		"    x-bulkhead: {restart: process}\n    ports:", 1)
	all, end, err := b.eachWatching(1, files)
	if err != nil {
		return err
	}
	defer end()
	s, err := b.alternate(all, b.rounds, func(w *watcher, round int) (time.Duration, error) {
		text := fmt.Sprintf("round %d", round)
		save := func(int) error { return w.p.write("server", b.program(text)) }
		if w.p.tool.rival {
			took, _, err := swapped(w, round, save)
			return took, err
		}
		began := time.Now()
		if err := save(round); err != nil {
			return 0, err
		}
		err := w.p.serves(w.p.port, "/", func(got string) bool { return got == text })
		return time.Since(began), err
	})
	if err != nil {
		return err
	}
	b.table.row("sync+restart, restart: process: save -> served", s[0], s[1], 0.15)
	return nil
}

func (b *bench) syncRestartStubborn() error {
	return b.swaps("sync+restart, PID 1 ignores SIGTERM", restartRule, "-stubborn",
		max(b.rounds/5, 1), nil, 0.15, 0)
}

func (b *bench) rebuild() error {
	return b.swaps("rebuild, 12 MB program", "{path: server, action: rebuild}", "", b.rounds, nil, 0.50, 1.0)
}

// overlap counts what a client inside of the network sees of rebuilds with swap: overlap. docker
// compose has no such thing.
func (b *bench) overlap() error {
	const file = `
services:
  web:
    build:
      context: .
      dockerfile_inline: |
        FROM scratch
        COPY server /server
        ENTRYPOINT ["/server"]
    healthcheck: {test: [CMD, /server, -check], interval: 5s, timeout: 2s}
    develop:
      watch: [{path: server, action: rebuild}]
    x-bulkhead: {swap: overlap}
  client:
    image: %IMAGE%
    command: [-client, "http://web:8080/"]
    ports: ["127.0.0.1:%PORT%:8080"]
    depends_on: {web: {condition: service_healthy}}
`
	p, err := b.newProject(b.tools[0], 1, map[string]string{"compose.yaml": file,
		"server": string(b.program("0"))})
	if err != nil {
		return err
	}
	w, err := p.watch()
	if err != nil {
		return err
	}
	defer w.end()
	events, err := b.engine.follow(b.ctx, p.name)
	if err != nil {
		return err
	}
	for round := range b.rounds {
		if err := p.write("server", b.program(fmt.Sprintf("round %d", round))); err != nil {
			return err
		}
		if _, err := await(b.ctx, events, "web", "destroy"); err != nil { // of the old one
			return fmt.Errorf("%w\n%s", err, w.said.String())
		}
		settle(b, 300*time.Millisecond)
	}
	text, err := ask(p.port, "/")
	if err != nil {
		return err
	}
	var t struct {
		Asked, Failed, Retried int
		SlowestMS              float64
		Failure                string
	}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return err
	}
	if t.Asked < 100 {
		return fmt.Errorf("the client asked %d times only", t.Asked)
	}
	b.table.bound(fmt.Sprintf("overlap: failed of %d requests, %d rebuilds", t.Asked, b.rounds),
		samples{float64(t.Failed)}, nil, 0)
	b.table.row(fmt.Sprintf("  %d tried again; the slowest", t.Retried), samples{t.SlowestMS}, nil, 0)
	if t.Failed > 0 {
		fmt.Printf("  the last failure: %s\n", t.Failure)
	}
	return nil
}

// prepare measures a Go service that the host's compiler builds: save of its source -> served.
// docker compose has no such step: what is set against it is the compiler alone, on the same
// change.
func (b *bench) prepare() error {
	source, err := os.ReadFile("testdata/bench/server/main.go")
	if err != nil {
		return err
	}
	versioned := func(v string) string {
		return strings.Replace(string(source), "var built string", fmt.Sprintf("var built = %q", v), 1)
	}
	const file = `
services:
  web:
    build:
      context: .
      dockerfile_inline: |
        FROM scratch
        COPY server /server
        ENTRYPOINT ["/server"]
    ports: ["127.0.0.1:%PORT%:8080"]
    develop:
      watch: [{path: server, action: sync+restart, target: /server}]
    x-bulkhead:
      prepare: {run: go build -o server ./src, env: {CGO_ENABLED: "0", GOWORK: "off"}, watch: [./src]}
`
	files := map[string]string{"compose.yaml": file, "src/main.go": versioned("0"),
		"go.mod": "module server\n\ngo 1.24\n"}
	p, err := b.newProject(b.tools[0], 1, files)
	if err != nil {
		return err
	}
	w, err := p.watch()
	if err != nil {
		return err
	}
	defer w.end()
	all := []*watcher{w}
	s, err := b.alternate(all, b.rounds, func(w *watcher, round int) (time.Duration, error) {
		took, _, err := swapped(w, round, func(round int) error {
			return p.write("src/main.go", []byte(versioned(fmt.Sprintf("round %d", round))))
		})
		return took, err
	})
	if err != nil {
		return err
	}
	var floor samples
	scratch := filepath.Join(b.dir, "compiler")
	for round := range 3 {
		for name, text := range map[string]string{"src/main.go": versioned(fmt.Sprintf("compiled %d",
			round)), "go.mod": files["go.mod"]} {
			path := filepath.Join(scratch, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return err
			}
		}
		c := exec.CommandContext(b.ctx, "go", "build", "-o", "server", "./src")
		c.Dir, c.Env = scratch, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		began := time.Now()
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
		if round > 0 {
			floor.add(time.Since(began))
		}
	}
	b.table.row("prepare + sync+restart, Go source -> served", s[0], nil, 0)
	b.table.row("  the same `go build` alone", floor, nil, 0)
	return nil
}

const burstFiles = 2000

// burst touches many files at once, of a sync rule and of a rebuild rule.
func (b *bench) burst() error {
	files := b.watchedFiles("{path: data, action: sync, target: /data}", "")
	for i := range burstFiles {
		files[fmt.Sprintf("data/f%d", i)] = "0"
	}
	all, end, err := b.eachWatching(1, files)
	if err != nil {
		return err
	}
	s, err := b.alternate(all, max(b.rounds/3, 1), func(w *watcher, round int) (time.Duration,
		error) {
		return w.p.touchAll(round)
	})
	end()
	if err != nil {
		return err
	}
	b.table.row("burst of 2,000 files, sync: until all served", s[0], s[1], 0)

	files["compose.yaml"] = b.watchedFiles("{path: data, action: rebuild}", "")["compose.yaml"]
	if all, end, err = b.eachWatching(1, files); err != nil {
		return err
	}
	defer end()
	var builds [2]samples
	s, err = b.alternate(all, max(b.rounds/3, 1), func(w *watcher, round int) (time.Duration, error) {
		events, err := b.engine.follow(b.ctx, w.p.name)
		if err != nil {
			return 0, err
		}
		var created atomic.Int32
		took, err := w.p.rebuiltAll(round, events, &created)
		i := 0
		if w.p.tool.rival {
			i = 1
		}
		builds[i] = append(builds[i], float64(created.Load()))
		return took, err
	})
	if err != nil {
		return err
	}
	b.table.row("burst of 2,000 files, rebuild: until served", s[0], s[1], 0)
	b.table.bound("  new containers for it", builds[0], builds[1], 1)
	return nil
}

// touchAll writes all files of a burst, and waits until all are served.
func (p *project) touchAll(round int) (time.Duration, error) {
	text := fmt.Sprintf("round %d", round)
	began := time.Now()
	if err := p.writeAll(text); err != nil {
		return 0, err
	}
	err := p.serves(p.port, "/holding?text="+url.QueryEscape(text), func(got string) bool {
		return got == fmt.Sprint(burstFiles)
	})
	return time.Since(began), err
}

func (p *project) writeAll(text string) error {
	for i := range burstFiles {
		if err := os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("data/f%d", i)), []byte(text),
			0o644); err != nil {
			return err
		}
	}
	return nil
}

// rebuiltAll writes all files, waits for the new container and its answer, and counts the
// containers that were made in the two seconds after that, too.
func (p *project) rebuiltAll(round int, events <-chan event, created *atomic.Int32) (time.Duration, error) {
	text := fmt.Sprintf("round %d", round)
	began := time.Now()
	if err := p.writeAll(text); err != nil {
		return 0, err
	}
	var took time.Duration
	limit := time.After(time.Minute)
	for {
		select {
		case v := <-events:
			if v.service() != "web" {
				continue
			}
			switch v.Action {
			case "create":
				created.Add(1)
			case "start":
				if err := p.serves(p.port, "/holding?text="+url.QueryEscape(text),
					func(got string) bool { return got == fmt.Sprint(burstFiles) }); err != nil {
					return 0, err
				}
				took = time.Since(began)
				limit = time.After(2 * time.Second)
			}
		case <-limit:
			if took == 0 {
				return 0, errLate
			}
			return took, nil
		}
	}
}
