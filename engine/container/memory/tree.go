package memory

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// node is a file, a folder or a link.
type node struct {
	mode     fs.FileMode
	uid, gid int
	link     string
	data     []byte // never changed in place
}

func (n *node) clone() *node { c := *n; return &c }

// tree is a file system: nodes by absolute path. "/" is always there, and so are
// the folders above everything.
type tree map[string]*node

func newTree() tree { return tree{"/": {mode: fs.ModeDir | 0o755}} }

func (t tree) clone() tree {
	c := make(tree, len(t))
	for p, n := range t {
		c[p] = n.clone()
	}
	return c
}

// write makes a file and the folders above it, without looking at links.
func (t tree) write(at, text string) {
	at = path.Clean("/" + at)
	for dir := path.Dir(at); t[dir] == nil; dir = path.Dir(dir) {
		t[dir] = &node{mode: fs.ModeDir | 0o755}
	}
	t[at] = &node{mode: 0o644, data: []byte(text)}
}

// below says whether a path is dir, or lies below it.
func below(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// files is what a container sees: its own tree, and those of its volumes.
type files struct {
	root   tree
	mounts map[string]tree // by path
}

// files returns what a container sees. Callers hold mu.
func (e *engine) files(b *box) files {
	f := files{root: b.tree, mounts: map[string]tree{}}
	for at, name := range b.mounts {
		if v := e.around.volumes[name]; v != nil {
			f.mounts[at] = v.tree
		}
	}
	return f
}

// in finds the tree that a path lies in, and the path's name there.
func (f files) in(p string) (tree, string) {
	best := ""
	for at := range f.mounts {
		if below(p, at) && len(at) > len(best) {
			best = at
		}
	}
	if best == "" {
		return f.root, p
	}
	return f.mounts[best], path.Join("/", strings.TrimPrefix(p, best))
}

func (f files) get(p string) *node {
	t, at := f.in(p)
	return t[at]
}

// set puts a node at a path, and makes the folders above it.
func (f files) set(p string, n *node) {
	if up := path.Dir(p); p != "/" && f.get(up) == nil {
		f.set(up, &node{mode: fs.ModeDir | 0o755})
	}
	t, at := f.in(p)
	t[at] = n
}

// remove takes away what is at a path and below it; volumes stay.
func (f files) remove(p string) {
	for _, at := range f.list(p) {
		t, name := f.in(at)
		if name != "/" {
			delete(t, name)
		}
	}
}

// list names what is at a path and below it, in order.
func (f files) list(p string) []string {
	var all []string
	for at := range f.root {
		if t, _ := f.in(at); below(at, p) && sameTree(t, f.root) {
			all = append(all, at)
		}
	}
	for where, t := range f.mounts {
		for at := range t {
			if full := path.Join(where, at); below(full, p) {
				all = append(all, full)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sameTree compares by the root's node, which each tree has one of.
func sameTree(a, b tree) bool { return a["/"] == b["/"] }

// resolve follows the links on the way to a path, and with last the one at its end.
// It is "" when they go round in a circle.
func (f files) resolve(p string, last bool) string {
	p = path.Clean("/" + p)
	for range 40 {
		next, moved := f.step(p, last)
		if !moved {
			return p
		}
		p = next
	}
	return ""
}

// step replaces the first link on the way.
func (f files) step(p string, last bool) (string, bool) {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	at := "/"
	for i, part := range parts {
		at = path.Join(at, part)
		n := f.get(at)
		if n == nil || n.mode&fs.ModeSymlink == 0 || i == len(parts)-1 && !last {
			continue
		}
		to := n.link
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(at), to)
		}
		return path.Join(append([]string{to}, parts[i+1:]...)...), true
	}
	return p, false
}

// reachable is resolve for what has to be there: nil where a folder on the way is
// missing or is a file.
func (f files) reachable(p string, last bool) *node {
	at := f.resolve(p, last)
	if at == "" {
		return nil
	}
	return f.get(at)
}
