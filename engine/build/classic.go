package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/util/staticfs"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"bulkhead/engine/container"
)

// ownDockerfile is the name in the tar of a Dockerfile that lies outside of the
// context or is inline.
const ownDockerfile = ".bulkhead.Dockerfile"

// classic makes the image with the engine's old builder.
func (b *Builder) classic(
	ctx context.Context, r container.BuildRequest, in *input, rec *recorder,
) (string, []string, error) {
	if b.opt.Classic == nil {
		return "", nil, fmt.Errorf("%w: it has no BuildKit, and no other builder is known", ErrUnsupported)
	}
	if err := classicLimits(r, in); err != nil {
		return "", nil, err
	}
	var notices []string
	cfg, err := b.dockerConfig()
	if err != nil {
		notices = append(notices, err.Error()+": building without proxies")
	}
	r.Args = proxies(r, cfg)
	tree, name, err := classicTree(in)
	if err != nil {
		return "", nil, err
	}

	pr, pw := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		var err error
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			pw.CloseWithError(err)
		}()
		err = fsutil.WriteTar(ctx, tree, pw)
	}()
	defer func() {
		pr.CloseWithError(errors.New("the builder reads no more"))
		<-sent
	}()
	p := &classicParser{rec: rec}
	err = b.opt.Classic.ClassicBuild(ctx, r, pr, name, p.line)
	p.end(err)
	if err != nil {
		return "", nil, p.broken(r, in, err)
	}
	return p.image, notices, nil
}

// classicLimits refuses what the old builder cannot do.
func classicLimits(r container.BuildRequest, in *input) error {
	var unsupported []string
	for what, used := range map[string]bool{
		"secrets": len(r.Secrets) > 0, "ssh": len(r.SSH) > 0,
		"additional_contexts": len(r.AdditionalContexts) > 0,
		"entitlements":        len(r.Entitlements) > 0, "privileged": r.Privileged,
		"cache_to":        len(r.CacheTo) > 0,
		"no_cache_filter": len(r.NoCacheFilter) > 0, "provenance": attests(r.Provenance),
		"sbom":                      attests(r.SBOM),
		"platforms (more than one)": len(r.Platforms) > 1, "a remote context": in.remote != "",
	} {
		if used {
			unsupported = append(unsupported, what)
		}
	}
	if unsupported != nil {
		slices.Sort(unsupported)
		return fmt.Errorf("%w: %s: that needs BuildKit, which this engine lacks", ErrUnsupported,
			strings.Join(unsupported, ", "))
	}
	return nil
}

// classicTree returns what the tar holds, and the Dockerfile's name in it.
func classicTree(in *input) (fsutil.FS, string, error) {
	ignore := in.ignore
	if ignore == nil && in.dir != "" {
		var err error
		if ignore, err = readSmall(filepath.Join(in.dir, ".dockerignore")); err != nil &&
			!errors.Is(err, os.ErrNotExist) {
			return nil, "", fmt.Errorf("ignore file: %w", err)
		}
	}
	excludes, err := ignorefile.ReadAll(bytes.NewReader(ignore))
	if err != nil {
		return nil, "", fmt.Errorf("ignore file: %w", err)
	}

	own := staticfs.NewFS()
	name := ""
	if in.file != "" && in.dir != "" {
		if rel, err := filepath.Rel(in.dir, in.file); err == nil && filepath.IsLocal(rel) {
			name = filepath.ToSlash(rel)
		}
	}
	if name == "" {
		// The old builder removes what .dockerignore names once it has read it, so that the extra
		// file does not end in an image by COPY.
		name = ownDockerfile
		list := append(slices.Clone(ignore), "\n"+ownDockerfile+"\n"...)
		if ignore == nil {
			list = append(list, ".dockerignore\n"...)
		}
		own.Add(".dockerignore", &types.Stat{Mode: 0o644}, list)
	}
	own.Add(name, &types.Stat{Mode: 0o644, ModTime: time.Now().UnixNano()}, in.text)
	if in.context == nil {
		return own, name, nil
	}

	// What the builder itself reads has to arrive even if it is ignored.
	for _, f := range []string{".dockerignore", name} {
		if hit, err := patternmatcher.MatchesOrParentMatches(f, excludes); err != nil {
			return nil, "", fmt.Errorf("ignore file: %w", err)
		} else if hit {
			excludes = append(excludes, "!"+f)
		}
	}
	kept, err := fsutil.NewFilterFS(in.context, &fsutil.FilterOpt{
		ExcludePatterns: excludes,
		Map:             ownedByRoot,
	})
	if err != nil {
		return nil, "", fmt.Errorf("build context: %w", err)
	}
	if name != ownDockerfile {
		return kept, name, nil
	}
	return staticfs.NewMergeFS(kept, own), name, nil
}

var (
	classicStep  = regexp.MustCompile(`^Step (\d+)/(\d+) : (.*)$`)
	classicBuilt = regexp.MustCompile(`^Successfully built ([0-9a-f]{12,64})$`)
)

// classicParser makes steps of the old builder's output.
type classicParser struct {
	rec   *recorder
	cur   *step
	n     int // number of cur
	image string
}

func (p *classicParser) line(text string) {
	c := p.rec
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := classicBuilt.FindStringSubmatch(text); m != nil {
		p.image = m[1]
	}
	if c.mute {
		return
	}
	m := classicStep.FindStringSubmatch(text)
	switch {
	case m != nil:
		p.close("")
		p.image = ""                // a program of the step before said so
		p.n, _ = strconv.Atoi(m[1]) // digits by the pattern
		p.cur = c.add(fmt.Sprintf("[%s/%s] %s", m[1], m[2], m[3]))
		p.cur.Started = time.Now()
	case p.cur == nil:
		return
	case text == " ---> Using cache":
		p.cur.Cached = true
	case strings.HasPrefix(text, " ---> "),
		strings.HasPrefix(text, "Removing intermediate container "), p.image != "":
		// says nothing about the step that a person would look for
	default:
		c.line(p.cur, text)
	}
	c.touch()
}

// close ends the step at hand.
func (p *classicParser) close(failure string) {
	if p.cur != nil {
		p.cur.Ended, p.cur.Err = time.Now(), failure
	}
}

func (p *classicParser) end(err error) {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	p.close(failure)
	p.rec.touch()
}

func (p *classicParser) broken(r container.BuildRequest, in *input, err error) error {
	e := &container.BuildError{Service: r.Service, Err: err}
	if p.cur == nil {
		return e
	}
	p.rec.mu.Lock()
	e.Tail = p.cur.log.last(tail)
	e.Step = strings.TrimPrefix(p.cur.Name, numbered.FindString(p.cur.Name))
	p.rec.mu.Unlock()
	// The old builder counts instructions as the parser does.
	if tree, perr := parser.Parse(bytes.NewReader(in.text)); perr == nil && p.n >= 1 &&
		p.n <= len(tree.AST.Children) {
		at := tree.AST.Children[p.n-1]
		if text := cut(string(in.text), at.StartLine, at.EndLine); text != "" {
			e.Step, e.File, e.Line = text, in.file, at.StartLine
		}
	}
	return e
}
