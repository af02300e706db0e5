package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// yardFile has a caller and a callee, each of which asks and answers.
const yardFile = `services:
  caller: &peer {build: ., command: [/peer, serve], stop_grace_period: 0s}
  callee: *peer
`

// yard runs a project whose services are the program that the tests of faults look at traffic with.
func (b *bench) yard() (*watcher, error) {
	peer := filepath.Join(b.dir, "peer")
	build := exec.CommandContext(b.ctx, "go", "build", "-o", peer, "./engine/fault/testdata/peer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the peer: %w\n%s", err, out)
	}
	program, err := os.ReadFile(peer)
	if err != nil {
		return nil, err
	}
	p, err := b.newProject(b.tools[0], 0, map[string]string{"compose.yaml": yardFile,
		"Dockerfile": "FROM scratch\nCOPY peer /peer\n", "peer": string(program)})
	if err != nil {
		return nil, err
	}
	return p.watch()
}

// ask runs the peer in the caller, and reads the last line of what it prints.
func (p *project) ask(into any, args ...string) error {
	c := p.cmd(append([]string{"exec", "-T", "caller", "/peer"}, args...)...)
	out, err := c.Output()
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err == nil {
		err = json.Unmarshal(lines[len(lines)-1], into)
	}
	if err != nil {
		return fmt.Errorf("peer %s: %w: %q", args, err, out)
	}
	return nil
}

// number is ask for what answers with one; -1 is the peer's word for no answer.
func (p *project) number(args ...string) (float64, error) {
	n := -1.0
	if err := p.ask(&n, args...); err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, fmt.Errorf("peer %s had no answer", args)
	}
	return n, nil
}

// faults measures how strong faults are, from another container: what was asked for and what is there.
func (b *bench) faults() error {
	w, err := b.yard()
	if err != nil {
		return err
	}
	defer w.end()
	p := w.p
	usual, err := p.number("rtt", "callee", "50") // the fastest
	if err != nil {
		return err
	}
	latency := func() (float64, error) {
		n, err := p.number("rtt", "callee", "20")
		return (n - usual) / 1000, err
	}
	const size = 4 << 20
	bandwidth := func() (float64, error) {
		n, err := p.number("download", "callee", fmt.Sprint(size))
		return size * 8 / n, err // bits in a microsecond
	}
	const sent = 4000
	loss := func() (float64, error) {
		if _, err := p.number("udp", "callee", fmt.Sprint(sent)); err != nil {
			return 0, err
		}
		var got string
		err := p.ask(&got, "received", "callee")
		n := 0.0
		if err == nil {
			_, err = fmt.Sscan(got, &n)
		}
		return 100 * (1 - n/sent), err
	}
	cpu := func() (share float64, err error) {
		var text string
		if err := p.ask(&text, "burn", "callee"); err != nil {
			return 0, err
		}
		_, err = fmt.Sscan(text, &share)
		return share, err
	}
	for _, c := range []struct {
		fault, unit   string
		asked, within float64
		measure       func() (float64, error)
	}{
		{"latency=100ms", "ms", 100, 20, latency},
		{"latency=500ms", "ms", 500, 100, latency},
		{"bandwidth=8mbit", "Mbit/s", 8, 1.6, bandwidth},
		{"bandwidth=40mbit", "Mbit/s", 40, 8, bandwidth},
		{"loss=10%", "%", 10, 5, loss},
		{"loss=40%", "%", 40, 5, loss},
		{"cpu=0.25", "cores", 0.25, 0.0625, cpu},
		{"cpu=0.5", "cores", 0.5, 0.125, cpu},
	} {
		from := []string{"--from", "caller"}
		if c.unit == "cores" {
			from = nil // of the whole container
		}
		if _, err := p.run(append([]string{"fault", "callee", c.fault, "--for", "10m"},
			from...)...); err != nil {
			return err
		}
		var s samples
		for range min(b.rounds, 5) {
			v, err := c.measure()
			if err != nil {
				return fmt.Errorf("%s: %w", c.fault, err)
			}
			s = append(s, v)
		}
		if _, err := p.run("heal"); err != nil {
			return err
		}
		b.table.strength("fault "+c.fault, c.unit, c.asked, c.within, s)
	}
	return nil
}

// strength prints a fault: what was asked for, what was measured, and how far apart they may be.
func (t *table) strength(name, unit string, asked, within float64, measured samples) {
	limit := fmt.Sprintf("±%s", figure(within))
	if math.Abs(measured.median()-asked) > within {
		limit += " OVER"
		t.over++
	}
	fmt.Printf("%-46s %22s %14s\n", fmt.Sprintf("%s, in %s", name, unit), measured, limit)
}

// pace is what the peer says of requests that it made at an even pace.
type pace struct {
	New, Kept struct{ N, P50, P99 float64 } // of new and of kept connections; microseconds
}

// tap measures what a tapped request costs: the same requests of 1 KiB, 500 a second, without and with the tap.
func (b *bench) tap() error {
	w, err := b.yard()
	if err != nil {
		return err
	}
	defer w.end()
	p := w.p
	const requests = "5000"
	once := func() (out pace, rate float64, err error) {
		if err := p.ask(&out, "pace", "callee", requests); err != nil {
			return out, 0, err
		}
		began := time.Now()
		done, err := p.number("load", "callee", "8000")
		return out, done / time.Since(began).Seconds(), err
	}
	if _, _, err := once(); err != nil { // both ends are warm then
		return err
	}
	var new50, new99, kept50, kept99, plainRate, tappedRate samples
	for range min(b.rounds, 5) {
		plain, rate, err := once()
		if err != nil {
			return err
		}
		plainRate = append(plainRate, rate)
		if _, err := p.run("tap", "callee"); err != nil {
			return err
		}
		tapped, rate, err := once()
		if err != nil {
			return err
		}
		tappedRate = append(tappedRate, rate)
		if _, err := p.run("tap", "--off"); err != nil {
			return err
		}
		new50, new99 = append(new50, (tapped.New.P50-plain.New.P50)/1000),
			append(new99, (tapped.New.P99-plain.New.P99)/1000)
		kept50, kept99 = append(kept50, (tapped.Kept.P50-plain.Kept.P50)/1000),
			append(kept99, (tapped.Kept.P99-plain.Kept.P99)/1000)
	}
	for _, r := range []struct {
		name string
		s    samples
		most float64
	}{
		{"a tapped request on a new connection, median", new50, 1}, {"the same, p99", new99, 3},
		{"a tapped request on a kept connection, median", kept50, 1}, {"the same, p99", kept99, 3},
	} {
		b.table.strength(r.name+", more", "ms", 0, r.most, r.s)
	}
	b.table.row("8 callers as fast as they can, requests/s: tapped, untapped", tappedRate, plainRate, 0)
	return nil
}
