package ui

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// place is a line of a file on this machine.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// sources finds the files that log lines and build errors name: in a container they have other
// paths than on this machine.
type sources struct {
	e     *env
	sel   *selection
	log   *logPane
	built *buildsPane
	clip  *clipboard

	asked string // the line that was looked at last, with what was found
	found place
	ok    bool
}

// named are the ways in which programs name a place in a file: "main.go:42", `File "app.py", line 7`.
var named = []*regexp.Regexp{
	regexp.MustCompile(`File "([^"]+)", line (\d+)`),
	regexp.MustCompile(`((?:file://)?(?:[A-Za-z]:)?[\w./@+-]*[\w@+-]+\.\w+):(\d+)`),
}

// find returns the first place that a text names and that is a file of this machine.
func (x *sources) find(service, text string) (place, bool) {
	for _, re := range named {
		for _, m := range re.FindAllStringSubmatch(text, 8) {
			line, err := strconv.Atoi(m[2])
			if err != nil || line < 1 {
				continue
			}
			if file := firstFile(x.candidates(service, strings.TrimPrefix(m[1], "file://"))); file != "" {
				return place{file, line}, true
			}
		}
	}
	return place{}, false
}

// firstFile is the first of some paths that is a file, "" for none.
func firstFile(paths []string) string {
	for _, file := range paths {
		if fi, err := os.Stat(file); err == nil && fi.Mode().IsRegular() {
			return file
		}
	}
	return ""
}

// candidates are where a path of a service's container may lie on this machine, the surest first:
// behind its bind mounts, its sync targets, in its build context, in the project.
func (x *sources) candidates(service, name string) []string {
	var out []string
	s := x.e.snap.service(service)
	dir := x.e.snap.Dir
	if s != nil {
		for _, v := range s.Config.Config.Volumes {
			if v.Type == "bind" {
				out = append(out, beneath(name, v.Target, v.Source)...)
			}
		}
		for _, r := range s.Rules {
			if r.Target != "" {
				out = append(out, beneath(name, r.Target, r.Path)...)
			}
		}
		if b := s.Config.Config.Build; b != nil && filepath.IsAbs(b.Context) {
			out = append(out, tails(name, b.Context)...)
		}
	}
	if filepath.IsAbs(name) {
		out = append(out, name) // of what runs on this machine, as prepare does
	}
	if dir != "" {
		if s != nil && !path.IsAbs(name) {
			out = append(out, filepath.Join(dir, s.Name, name))
		}
		out = append(out, tails(name, dir)...)
	}
	return out
}

// beneath is a path below target as one below source; none where it is elsewhere.
func beneath(name, target, source string) []string {
	rest, ok := strings.CutPrefix(path.Clean(name), strings.TrimSuffix(path.Clean(target), "/")+"/")
	switch {
	case path.Clean(name) == path.Clean(target):
		return []string{source}
	case !ok:
		return nil
	}
	return []string{filepath.Join(source, rest)}
}

// tails are a path and its endings below a folder: /app/orders/main.go may be app/orders/main.go,
// orders/main.go or main.go of a build context.
func tails(name, dir string) []string {
	parts := strings.Split(strings.TrimPrefix(path.Clean(name), "/"), "/")
	var out []string
	for i := range min(len(parts), 6) {
		if parts[i] == ".." {
			continue
		}
		out = append(out, filepath.Join(append([]string{dir}, parts[i:]...)...))
	}
	return out
}

// here is the place that the line under the cursor names: of the logs, or of the build that is shown.
func (x *sources) here() (place, bool) {
	switch x.e.focus {
	case paneLogs:
		if l := x.log.win.cur.line; !x.log.win.follow && l.Seq != 0 {
			return x.once(fmt.Sprint("line ", l.Seq), func() (place, bool) {
				return x.find(l.Service, string(logs.Plain(nil, l.Text)))
			})
		}
	case paneBuilds:
		if i := x.built.chosen(); i >= 0 {
			b := &x.e.snap.Builds[i]
			return x.once(fmt.Sprint("build ", b.ID, len(b.Lines), b.Err != ""),
				func() (place, bool) { return x.ofBuild(b) })
		}
	}
	return place{}, false
}

// once looks at the disk once for what stays under the cursor: the footer asks with every frame.
func (x *sources) once(asked string, look func() (place, bool)) (place, bool) {
	if x.asked != asked {
		x.asked = asked
		x.found, x.ok = look()
	}
	return x.found, x.ok
}

// openOrMark opens the file that the cursor's line names; a line that names none is marked.
func (x *sources) openOrMark() tea.Cmd {
	if x.any() {
		return x.open()
	}
	return x.log.marks.mark()
}

func (x *sources) label() string {
	if x.any() {
		return "open source"
	}
	return "mark"
}

// ofBuild is the first place that a failed build's output names, else the line of its Dockerfile.
func (x *sources) ofBuild(b *engine.Build) (place, bool) {
	if b.Err == "" {
		return place{}, false
	}
	for _, l := range b.Lines {
		if !placed.MatchString(l) {
			continue
		}
		for _, s := range b.Services {
			if p, ok := x.find(s, string(logs.Plain(nil, []byte(l)))); ok {
				return p, true
			}
		}
	}
	if b.File != "" && b.Line > 0 {
		return place{b.File, b.Line}, true
	}
	return place{}, false
}

func (x *sources) any() bool { _, ok := x.here(); return ok }

// editedMsg is the end of an editor.
type editedMsg struct {
	place place
	err   error
}

// open opens the file at the line in the editor that $VISUAL or $EDITOR name.
func (x *sources) open() tea.Cmd {
	p, ok := x.here()
	if !ok {
		return nil
	}
	editor := envOf(x.e.opts.Environ, "VISUAL")
	if editor == "" {
		editor = envOf(x.e.opts.Environ, "EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	args := strings.Fields(editor)
	args = append(args, editorArgs(args[0], p)...)
	c := exec.Command(args[0], args[1:]...)
	c.Env = x.e.opts.Environ
	return tea.ExecProcess(c, func(err error) tea.Msg { return editedMsg{place: p, err: err} })
}

// editorArgs is how an editor takes a line.
func editorArgs(editor string, p place) []string {
	switch filepath.Base(editor) {
	case "code", "code-insiders", "codium", "cursor":
		return []string{"-g", p.String()}
	case "subl", "hx", "helix", "zed":
		return []string{p.String()}
	}
	return []string{fmt.Sprintf("+%d", p.line), p.file}
}

// receive implements receiver.
func (x *sources) receive(msg tea.Msg) (tea.Cmd, bool) {
	done, ok := msg.(editedMsg)
	switch {
	case !ok:
		return nil, false
	case done.err != nil:
		x.e.status.fail(fmt.Sprintf("open %s: %v; set EDITOR to your editor", done.place, done.err))
	default:
		x.e.status.set("back from " + done.place.String())
	}
	return nil, true
}

// copy copies the path on this machine.
func (x *sources) copy() tea.Cmd {
	p, ok := x.here()
	if !ok {
		return nil
	}
	return x.clip.text(p.String())(p.String())
}
