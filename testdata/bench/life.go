package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fleet is a Compose file of n services that wait for nobody.
func fleet(n, port int) string {
	var s strings.Builder
	s.WriteString("services:\n")
	for i := range n {
		fmt.Fprintf(&s, "  s%02d: {image: %%IMAGE%%, ports: [\"127.0.0.1:%d:8080\"]}\n", i, port+i)
	}
	return s.String()
}

// newFleet lays out such a project.
func (b *bench) newFleet(t tool, n int) (*project, error) {
	p, err := b.newProject(t, n, nil)
	if err != nil {
		return nil, err
	}
	return p, p.write("compose.yaml", []byte(strings.ReplaceAll(fleet(n, p.port), "%IMAGE%", b.image)))
}

// up brings a project up and waits until each of its services answers.
func (p *project) up(services int) (time.Duration, error) {
	began := time.Now()
	if _, err := p.run("up", "-d"); err != nil {
		return 0, err
	}
	for i := range services {
		if err := p.serves(p.port+i, "/", nil); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// ups measures up, no-op up, restart of one, and down, of projects of several sizes.
func (b *bench) ups() error {
	for _, size := range []struct {
		n, rounds    int
		upMost, down float64
	}{{1, b.rounds, 1.20, 1.15}, {20, max(b.rounds/3, 1), 1.10, 1.10}} {
		var cold, noop, restart, down [2]samples
		var least, leastDown samples
		for range size.rounds {
			for i, t := range b.tools {
				took, err := b.fleetOnce(t, size.n)
				if err != nil {
					return fmt.Errorf("%d services, %s: %w", size.n, t.name, err)
				}
				cold[i].add(took.up)
				noop[i].add(took.noop)
				restart[i].add(took.restart)
				down[i].add(took.down)
			}
			up, d, err := b.floor.fleet(b, size.n)
			if err != nil {
				return fmt.Errorf("%d services, the floor: %w", size.n, err)
			}
			least.add(up)
			leastDown.add(d)
		}
		name := fmt.Sprintf("%d services: ", size.n)
		b.table.print(result{name: name + "up -d, images present, until all answer", ours: cold[0],
			theirs: cold[1], floor: least, mostOfFloor: size.upMost})
		b.table.row("  up -d at once again, nothing to do", noop[0], noop[1], 0.80)
		b.table.row("  restart of one, until it answers", restart[0], restart[1], 0)
		b.table.print(result{name: "  down", ours: down[0], theirs: down[1], floor: leastDown,
			mostOfFloor: size.down})
	}
	return nil
}

// fleetTimes are those of one round of a fleet.
type fleetTimes struct{ up, noop, restart, down time.Duration }

func (b *bench) fleetOnce(t tool, n int) (took fleetTimes, err error) {
	p, err := b.newFleet(t, n)
	if err != nil {
		return took, err
	}
	defer p.remove()
	if took.up, err = p.up(n); err != nil {
		return took, err
	}
	if took.noop, err = p.run("up", "-d"); err != nil {
		return took, err
	}
	began := time.Now()
	if _, err = p.run("restart", "s00"); err != nil {
		return took, err
	}
	if err = p.serves(p.port, "/", nil); err != nil {
		return took, err
	}
	took.restart = time.Since(began)
	took.down, err = p.run("down")
	return took, err
}

// chain measures five services that wait for each other's health, which the engine looks at every second.
func (b *bench) chain() error {
	var file strings.Builder
	file.WriteString("services:\n")
	for i := range 5 {
		fmt.Fprintf(&file,
			"  s%d:\n    image: %%IMAGE%%\n    healthcheck: {test: [CMD, /server, -check], interval: 1s, timeout: 2s}\n", i)
		if i > 0 {
			fmt.Fprintf(&file, "    depends_on: {s%d: {condition: service_healthy}}\n", i-1)
		}
	}
	var cold, at, later [2]samples
	var least samples
	for round := range max(b.rounds/3, 1) {
		for i, t := range b.tools {
			took, err := b.chainOnce(t, file.String())
			if err != nil {
				return fmt.Errorf("round %d, %s: %w", round, t.name, err)
			}
			cold[i].add(took.up)
			at[i].add(took.noop)
			later[i] = append(later[i], took.healthy...)
		}
		began := time.Now()
		s, err := b.floor.start(b, 5, 0, true)
		least.add(time.Since(began))
		if serr := s.stop(); err == nil {
			err = serr
		}
		if err != nil {
			return err
		}
	}
	b.table.print(result{name: "chain of five, 1 s health interval: up -d", ours: cold[0],
		theirs: cold[1], floor: least, mostOfFloor: 1.25})
	b.table.row("  up -d at once again, nothing to do", at[0], at[1], 0.80)
	b.table.row("  up -d when all are long healthy", later[0], later[1], 0.80)
	return nil
}

// chainTimes are those of one round of a chain.
type chainTimes struct {
	up, noop time.Duration
	healthy  samples
}

func (b *bench) chainOnce(t tool, file string) (took chainTimes, err error) {
	p, err := b.newProject(t, 1, map[string]string{"compose.yaml": file})
	if err != nil {
		return took, err
	}
	defer p.remove()
	if took.up, err = p.run("up", "-d"); err != nil {
		return took, err
	}
	if took.noop, err = p.run("up", "-d"); err != nil {
		return took, err
	}
	if err := p.healthy(5); err != nil {
		return took, err
	}
	for range 3 {
		d, err := p.run("up", "-d")
		if err != nil {
			return took, err
		}
		took.healthy.add(d)
	}
	return took, nil
}

// verbs measures what only looks, in a project that runs without an up.
func (b *bench) verbs() error {
	var fleets []*project
	defer func() {
		for _, p := range fleets {
			p.remove()
		}
	}()
	for _, t := range b.tools {
		p, err := b.newFleet(t, 5)
		if err != nil {
			return err
		}
		fleets = append(fleets, p)
		if _, err := p.up(5); err != nil {
			return err
		}
	}
	for _, v := range []struct {
		verb string
		most float64
	}{{"ps", 0.80}, {"config", 0.80}, {"version", 0.60}} {
		var s [2]samples
		var least samples
		for range b.rounds {
			for i, p := range fleets {
				took, err := p.run(v.verb)
				if err != nil {
					return err
				}
				s[i].add(took)
			}
			if v.verb == "ps" {
				took, err := b.floor.list(b.ctx, fleets[0].name)
				if err != nil {
					return err
				}
				least.add(took)
			}
		}
		b.table.print(result{name: v.verb, ours: s[0], theirs: s[1], floor: least, mostOfTheirs: v.most})
	}
	return nil
}

// healthy waits until the engine itself calls n containers of a project healthy.
func (p *project) healthy(n int) error {
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); {
		var list []struct{ Status string }
		if err := p.b.engine.get("/containers/json?filters="+
			filters("label", "com.docker.compose.project="+p.name), &list); err != nil {
			return err
		}
		good := 0
		for _, c := range list {
			if strings.Contains(c.Status, "(healthy)") {
				good++
			}
		}
		if good == n {
			return nil
		}
		if !settle(p.b, 100*time.Millisecond) {
			return p.b.ctx.Err()
		}
	}
	return fmt.Errorf("wait for %d healthy containers: %w", n, errLate)
}

// kill measures from the engine's kill of a container until the tool's output says so.
func (b *bench) kill() error {
	all, end, err := b.eachWatching(1, b.watchedFiles("{path: data, action: sync, target: /data}", ""))
	if err != nil {
		return err
	}
	defer end()
	s, err := b.alternate(all, b.rounds, func(w *watcher, round int) (time.Duration, error) {
		id, err := b.engine.container(w.p.name, "web")
		if err != nil {
			return 0, err
		}
		began := time.Now()
		if err := b.engine.do(http.MethodPost, "/containers/"+id+"/kill"); err != nil {
			return 0, err
		}
		if err := w.expectAll([]string{"exited with code 137"}); err != nil {
			return 0, err
		}
		noticed := time.Now()
		if err := b.engine.do(http.MethodPost, "/containers/"+id+"/start"); err != nil {
			return 0, err
		}
		return noticed.Sub(began), w.p.serves(w.p.port, "/", nil)
	})
	if err != nil {
		return err
	}
	b.table.row("kill -> noticed", s[0], s[1], 0)
	return nil
}

// tree measures the start of watching, and a sync, in projects with many files that are ignored.
func (b *bench) tree() error {
	for _, n := range []int{10_000, 100_000} {
		files := b.watchedFiles("{path: ., action: sync, target: /data, ignore: [node_modules/]}", "")
		files[".dockerignore"] = "node_modules\n"
		var start [2]samples
		all := make([]*watcher, 0, 2)
		err := func() error {
			defer func() {
				for _, w := range all {
					w.end()
				}
			}()
			for i, t := range b.tools {
				p, err := b.newProject(t, 1, files)
				if err != nil {
					return err
				}
				if err := p.modules(n); err != nil {
					return err
				}
				// what is measured is watching, not the first build
				if _, err := p.run("up", "-d"); err != nil {
					return err
				}
				began := time.Now()
				w, err := p.watch()
				if err != nil {
					return err
				}
				start[i].add(time.Since(began))
				all = append(all, w)
			}
			s, err := b.alternate(all, max(b.rounds/2, 1), func(w *watcher, round int) (time.Duration, error) {
				text := fmt.Sprintf("round %d", round)
				began := time.Now()
				if err := w.p.write("page", []byte(text)); err != nil {
					return 0, err
				}
				err := w.p.serves(w.p.port, "/data/page", func(got string) bool { return got == text })
				return time.Since(began), err
			})
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%d,000 ignored files: ", n/1000)
			b.table.row(name+"exec -> watching, all up", start[0], start[1], 0)
			b.table.row("  sync of one file", s[0], s[1], 0.20)
			return nil
		}()
		if err != nil {
			return err
		}
	}
	return nil
}

// modules fills node_modules as package managers do: eight files a folder.
func (p *project) modules(n int) error {
	for i := range n / 8 {
		dir := filepath.Join(p.dir, "node_modules", fmt.Sprintf("package%d", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for k := range 8 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d.js", k)), nil, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
