package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// programSize is that of the measured static binary.
const programSize = 12 << 20

// tool is a program that is measured.
type tool struct {
	name    string
	command []string
	rival   bool
}

// project is a Compose project of one tool.
type project struct {
	b    *bench
	tool tool
	name string
	dir  string
	port int // the first of those that its services publish on 127.0.0.1
}

// newProject lays out a project in a folder of its own. files may hold %PORT% and %IMAGE%.
func (b *bench) newProject(t tool, ports int, files map[string]string) (*project, error) {
	b.made++
	p := &project{b: b, tool: t, name: fmt.Sprintf("bench%d-%d", os.Getpid(), b.made)}
	p.dir = filepath.Join(b.dir, p.name)
	var err error
	if p.port, err = freePorts(ports); err != nil {
		return nil, err
	}
	for name, text := range files {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "%PORT%", fmt.Sprint(p.port)), "%IMAGE%", b.image)
		if err := p.write(name, []byte(text)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// freePorts finds a run of ports that nobody listens on.
func freePorts(n int) (int, error) {
next:
	for range 100 {
		first := 20000 + rand.IntN(10000)
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				continue next
			}
			l.Close()
		}
		return first, nil
	}
	return 0, errors.New("no free ports between 20000 and 30000")
}

// write replaces a file at once, as a careful editor does.
func (p *project) write(name string, data []byte) error {
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp := filepath.Join(p.b.dir, "half-written")
	if err := os.WriteFile(temp, data, 0o755); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// program is the server of a version, as large as promised.
func (b *bench) program(version string) []byte {
	out := bytes.NewBuffer(bytes.Clone(b.server))
	tail := "version:" + version
	pad := make([]byte, max(programSize-out.Len()-len(tail), 0))
	r := rand.NewChaCha8([32]byte{1})
	r.Read(pad)
	out.Write(pad)
	out.WriteString(tail)
	return out.Bytes()
}

// run runs a verb to its end and tells how long that took.
func (p *project) run(args ...string) (time.Duration, error) {
	c := p.cmd(args...)
	began := time.Now()
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", p.tool.name, strings.Join(args, " "), err, out)
	}
	return time.Since(began), err
}

func (p *project) cmd(args ...string) *exec.Cmd {
	c := exec.CommandContext(p.b.ctx, p.tool.command[0],
		append(append(p.tool.command[1:len(p.tool.command):len(p.tool.command)], "-p", p.name), args...)...)
	c.Dir = p.dir
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	return c
}

// remove takes the project down, whatever became of it.
func (p *project) remove() {
	if _, err := p.run("down", "-v", "-t", "1", "--rmi", "local"); err != nil && p.b.ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// watcher is an `up` that watches files, in the background.
type watcher struct {
	p     *project
	c     *exec.Cmd
	lines chan string
	over  chan struct{}
	said  tail
}

// tail keeps the end of what a program said, for when it fails.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(append(t.text, line...), '\n')
	t.text = t.text[max(0, len(t.text)-4000):]
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// watch starts the project and returns once it serves and its files are watched.
func (p *project) watch() (*watcher, error) {
	args, ready := []string{"up", "--plain"}, []string{"ready: ", "watching: "}
	if p.tool.rival {
		args, ready = []string{"up", "--watch"}, []string{"Watch enabled"}
	}
	w := &watcher{p: p, c: p.cmd(args...), lines: make(chan string, 100_000), over: make(chan struct{})}
	r, wr := io.Pipe()
	w.c.Stdout, w.c.Stderr = wr, wr
	if err := w.c.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = w.c.Wait() // what it says is what matters
		wr.Close()
	}()
	go func() {
		defer close(w.over)
		defer close(w.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			w.said.add(s.Text())
			w.lines <- s.Text()
		}
	}()
	if err := w.expectAll(ready); err != nil {
		w.end()
		return nil, err
	}
	if !p.tool.rival {
		return w, nil
	}
	return w, p.serves(p.port, "/", nil)
}

// expectAll waits until all words were said, in any order.
func (w *watcher) expectAll(words []string) error {
	limit := time.After(time.Minute)
	for words = slices.Clone(words); len(words) > 0; {
		select {
		case line, ok := <-w.lines:
			if !ok {
				return fmt.Errorf("%s ended before it said %q:\n%s", w.p.tool.name, words, w.said.String())
			}
			words = slices.DeleteFunc(words, func(word string) bool { return strings.Contains(line, word) })
		case <-limit:
			return fmt.Errorf("%s did not say %q:\n%s", w.p.tool.name, words, w.said.String())
		case <-w.p.b.ctx.Done():
			return w.p.b.ctx.Err()
		}
	}
	return nil
}

// end stops the project as ctrl+c does, and removes it.
func (w *watcher) end() {
	_ = w.c.Process.Signal(syscall.SIGINT) // it may have ended
	select {
	case <-w.over:
	case <-time.After(30 * time.Second):
		_ = w.c.Process.Kill()
		<-w.over
	}
	w.p.remove()
}

// asker opens a connection for each question.
var asker = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask gets a path once, over a connection of its own.
func ask(port int, path string) (string, error) {
	res, err := asker.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(text), err
}

// serves asks until the answer is right; a nil right takes any.
func (p *project) serves(port int, path string, right func(string) bool) error {
	ctx, cancel := context.WithTimeout(p.b.ctx, 30*time.Second)
	defer cancel()
	var text string
	var err error
	for ; ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		if text, err = ask(port, path); err == nil && (right == nil || right(text)) {
			return nil
		}
	}
	if err == nil {
		err = fmt.Errorf("it serves %.40q", text)
	}
	return fmt.Errorf("%s: wait for the right answer of :%d%s: %w", p.tool.name, port, path, err)
}

// buildImage makes the image that services without a build run.
func (b *bench) buildImage() error {
	b.image = fmt.Sprintf("bench-server-%d", os.Getpid())
	dir := filepath.Join(b.dir, "image")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"server": append(bytes.Clone(b.server), "version:1"...),
		"compose.yaml": []byte("services: {web: {image: " + b.image +
			", build: {context: ., dockerfile_inline: \"FROM scratch\\nCOPY server /server\\nENTRYPOINT [\\\"/server\\\"]\\n\"}}}\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			return err
		}
	}
	p := &project{b: b, tool: b.tools[0], name: fmt.Sprintf("bench%d-image", os.Getpid()), dir: dir}
	if _, err := p.run("up", "-d", "--build"); err != nil {
		return err
	}
	_, err := p.run("down", "-t", "1")
	return err
}
