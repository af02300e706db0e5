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
		n, rounds int
		ceiling   float64
	}{{1, b.rounds, 0}, {5, b.rounds, 0}, {20, max(b.rounds/2, 1), 0.75}, {50, max(b.rounds/5, 1), 0}} {
		var cold, noop, restart, down [2]samples
		for range size.rounds {
			for i, t := range b.tools {
				p, err := b.newFleet(t, size.n)
				if err != nil {
					return err
				}
				err = func() error {
					defer p.remove()
					took, err := p.up(size.n)
					if err != nil {
						return err
					}
					cold[i].add(took)
					if took, err = p.run("up", "-d"); err != nil {
						return err
					}
					noop[i].add(took)
					began := time.Now()
					if _, err = p.run("restart", "s00"); err != nil {
						return err
					}
					if err := p.serves(p.port, "/", nil); err != nil {
						return err
					}
					restart[i].add(time.Since(began))
					if took, err = p.run("down"); err == nil {
						down[i].add(took)
					}
					return err
				}()
				if err != nil {
					return fmt.Errorf("%d services, %s: %w", size.n, t.name, err)
				}
			}
		}
		name := fmt.Sprintf("%d services: ", size.n)
		b.table.row(name+"up -d, images present, until all answer", cold[0], cold[1], size.ceiling)
		b.table.row("  up -d with nothing to do", noop[0], noop[1], 0)
		b.table.row("  restart of one, until it answers", restart[0], restart[1], 0)
		b.table.row("  down", down[0], down[1], 0)
	}
	return nil
}

// chain measures five services that wait for each other's health, which the engine looks at every ten seconds.
func (b *bench) chain() error {
	var file strings.Builder
	file.WriteString("services:\n")
	for i := range 5 {
		fmt.Fprintf(&file, "  s%d:\n    image: %%IMAGE%%\n    healthcheck: {test: [CMD, /server, -check], interval: 10s, timeout: 2s}\n", i)
		if i > 0 {
			fmt.Fprintf(&file, "    depends_on: {s%d: {condition: service_healthy}}\n", i-1)
		}
	}
	var cold, noop [2]samples
	for i, t := range b.tools {
		rounds := max(b.rounds/2, 1)
		if t.rival {
			rounds = 1 // most of a minute each
		}
		for range rounds {
			p, err := b.newProject(t, 1, map[string]string{"compose.yaml": file.String()})
			if err != nil {
				return err
			}
			err = func() error {
				defer p.remove()
				took, err := p.run("up", "-d")
				if err != nil {
					return err
				}
				cold[i].add(took)
				if err := p.healthy(5); err != nil { // for the engine too, which looks every ten seconds
					return err
				}
				for range b.rounds {
					if took, err = p.run("up", "-d"); err != nil {
						return err
					}
					noop[i].add(took)
				}
				return nil
			}()
			if err != nil {
				return err
			}
		}
	}
	b.table.row("chain of five, 10 s health interval: up -d", cold[0], cold[1], 0.10)
	b.table.row("  up -d with nothing to do", noop[0], noop[1], 0.15)
	return nil
}

// healthy waits until the engine itself calls n containers of a project healthy.
func (p *project) healthy(n int) error {
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); {
		var list []struct{ Status string }
		if err := p.b.engine.get("/containers/json?filters="+filters("label", "com.docker.compose.project="+p.name), &list); err != nil {
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
				if _, err := p.run("up", "-d"); err != nil { // what is measured is watching, not the first build
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
