package hostcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Provider is a program of the Compose specification that stands for a service: it makes something,
// as a database of a cloud, and says by which variables others reach it.
type Provider struct {
	Type    string // the program: a plugin of the docker CLI, else found on PATH
	Project string
	Service string
	Options map[string][]string
	Dir     string // of the project
	Env     []string
	Terms   Terms
	Config  any // the service, which the program may ask for as JSON
}

// Variables are what a provider hands to the services that depend on it.
type Variables struct {
	Prefixed map[string]string // SERVICE_ goes before their names
	Raw      map[string]string
}

// The limits of what is kept of a provider's output.
const (
	maxMessage   = 1 << 20
	maxVariables = 1000
	maxMetadata  = 1 << 20
)

// ErrNoProvider says that the program is not on this machine.
var ErrNoProvider = errors.New("is not found among the plugins of the docker CLI or on PATH")

// Do has the provider carry out "up", "stop" or "down", and calls onLine for what it says, and for
// its stderr, one call at a time. A provider that does not know "stop" is not asked to.
func (p *Provider) Do(
	ctx context.Context, trust *Trust, verb string, onLine func(line string),
) (Variables, error) {
	if err := trust.Check(p.Terms); err != nil {
		return Variables{}, err
	}
	program, err := p.find()
	if err != nil {
		return Variables{}, err
	}
	meta := p.metadata(ctx, trust, program)
	known := map[string]*providerCommand{"up": &meta.Up, "down": &meta.Down, "stop": meta.Stop}[verb]
	if known == nil {
		return Variables{}, nil
	}
	args := []string{program, "compose", "--project-name=" + p.Project, verb}
	for _, param := range known.Parameters {
		if _, ok := p.Options[param.Name]; param.Required && !ok && !meta.empty() {
			return Variables{}, fmt.Errorf("provider %s: the required option %q is missing", p.Type, param.Name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Options)) {
		if !meta.empty() && !known.has(key) {
			continue
		}
		for _, value := range p.Options[key] {
			args = append(args, "--"+key+"="+value)
		}
	}
	return p.converse(ctx, trust, append(args, p.Service), onLine)
}

// converse runs the program and follows what it says: JSON values on its stdout.
func (p *Provider) converse(
	ctx context.Context, trust *Trust, args []string, onLine func(line string),
) (Variables, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A pipe of the system's: exec would wait for a copying goroutine that has nothing to read.
	answers, stdin, err := os.Pipe()
	if err != nil {
		return Variables{}, err
	}
	stdout, out := io.Pipe()
	var mu sync.Mutex // onLine is called for stdout and stderr
	line := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		onLine(text)
	}
	var vars Variables
	var heard error
	done := make(chan struct{})
	go func() {
		defer close(done)
		d := &dialogue{p: p, stdin: stdin, line: line}
		vars, heard = d.follow(stdout)
		if heard != nil {
			cancel(heard) // it may wait for an answer that will not come
		}
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout) // so that it never blocks on us
	}()
	err = Run(ctx, trust, Command{Dir: p.Dir, Args: args, Env: p.Env, Terms: p.Terms, stdin: answers,
		stdout: out}, line)
	_ = out.Close()     // ends the reader
	_ = answers.Close() // and an answer that nobody takes
	<-done
	if heard != nil {
		return Variables{}, heard
	}
	return vars, err
}

// dialogue is one run's conversation with a provider.
type dialogue struct {
	p     *Provider
	stdin io.Writer
	line  func(string)
}

// message is what a provider says.
type message struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// follow reads what the provider says until it ends.
func (d *dialogue) follow(stdout io.Reader) (Variables, error) {
	v := Variables{Prefixed: map[string]string{}, Raw: map[string]string{}}
	limited := &limitedReader{r: stdout, left: maxMessage}
	decoder := json.NewDecoder(limited)
	for {
		limited.left = maxMessage
		var m message
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			return v, nil
		} else if err != nil {
			return v, fmt.Errorf("provider %s: what it says is not JSON: %w", d.p.Type, err)
		}
		switch m.Type {
		case "error":
			return v, fmt.Errorf("provider %s: %s", d.p.Type, m.Message)
		case "info", "debug":
			d.line(m.Message)
		case "setenv", "rawsetenv":
			key, value, ok := strings.Cut(m.Message, "=")
			if !ok || key == "" || len(v.Prefixed)+len(v.Raw) >= maxVariables {
				return v, fmt.Errorf("provider %s: it sets %.80q, and KEY=value was expected",
					d.p.Type, m.Message)
			}
			if m.Type == "setenv" {
				v.Prefixed[key] = value
			} else {
				v.Raw[key] = value
			}
		case "get-service-config":
			doc, err := json.Marshal(d.p.Config)
			if err != nil {
				return v, fmt.Errorf("provider %s: send it the service: %w", d.p.Type, err)
			}
			_, _ = d.stdin.Write(append(doc, '\n')) // one that ended before its answer came did not want it
		default:
			return v, fmt.Errorf("provider %s: it says %.80q, which is not known", d.p.Type, m.Type)
		}
	}
}

// limitedReader ends with an error after left bytes.
type limitedReader struct {
	r    io.Reader
	left int
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("one message has more than %d MB", maxMessage>>20)
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// providerMetadata says which options a provider takes; it need not say so.
type providerMetadata struct {
	Description string           `json:"description"`
	Up          providerCommand  `json:"up"`
	Down        providerCommand  `json:"down"`
	Stop        *providerCommand `json:"stop"`
}

func (m *providerMetadata) empty() bool {
	return m.Description == "" && m.Up.Parameters == nil && m.Down.Parameters == nil
}

type providerCommand struct {
	Parameters []struct {
		Name     string `json:"name"`
		Required bool   `json:"required"`
	} `json:"parameters"`
}

func (c *providerCommand) has(name string) bool {
	for _, p := range c.Parameters {
		if p.Name == name {
			return true
		}
	}
	return false
}

// metadata asks the provider for its options. One that does not answer has none to speak of.
func (p *Provider) metadata(ctx context.Context, trust *Trust, program string) providerMetadata {
	var out bytes.Buffer
	var meta providerMetadata
	err := Run(ctx, trust, Command{Dir: p.Dir, Args: []string{program, "compose", "metadata"},
		Env: p.Env, Terms: p.Terms,
		stdout: &cappedWriter{w: &out, left: maxMetadata}}, func(string) {})
	if err != nil || json.Unmarshal(out.Bytes(), &meta) != nil {
		return providerMetadata{}
	}
	return meta
}

// cappedWriter keeps the first bytes, and takes the rest without keeping it.
type cappedWriter struct {
	w    io.Writer
	left int
}

func (c *cappedWriter) Write(p []byte) (int, error) {
	kept := p[:min(len(p), c.left)]
	c.left -= len(kept)
	if _, err := c.w.Write(kept); err != nil {
		return 0, err
	}
	return len(p), nil
}

// find returns the path of the program.
func (p *Provider) find() (string, error) {
	if p.Type == "compose" {
		return "", fmt.Errorf("provider %q: is docker compose itself", p.Type)
	}
	if strings.ContainsAny(p.Type, `/\`) {
		path := p.Type
		if !filepath.IsAbs(path) {
			path = filepath.Join(p.Dir, path)
		}
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("provider %q: %w", p.Type, err)
		}
		return found, nil
	}
	for _, dir := range pluginDirs() {
		if found, err := exec.LookPath(filepath.Join(dir, "docker-"+p.Type)); err == nil {
			return found, nil
		}
	}
	found, err := exec.LookPath(p.Type)
	if err != nil {
		return "", fmt.Errorf("provider %q %w", p.Type, ErrNoProvider)
	}
	return found, nil
}

// pluginDirs are where the docker CLI looks for its plugins.
func pluginDirs() []string {
	var dirs []string
	if config := os.Getenv("DOCKER_CONFIG"); config != "" {
		dirs = append(dirs, filepath.Join(config, "cli-plugins"))
	} else if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".docker", "cli-plugins"))
	}
	if runtime.GOOS == "windows" {
		return append(dirs, filepath.Join(os.Getenv("ProgramData"), "Docker", "cli-plugins"),
			filepath.Join(os.Getenv("ProgramFiles"), "Docker", "cli-plugins"))
	}
	return append(dirs, "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
		"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins")
}
