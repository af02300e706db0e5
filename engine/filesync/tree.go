package filesync

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"bulkhead/engine/hostfile"
	"bulkhead/engine/project"
)

// tree is a folder or a file of this machine that a project names, opened so
// that nothing outside of it can be reached: whoever may write into a synced
// folder can put a link in the place of any part of a path at any time.
type tree struct {
	path string   // as the project names it
	root *os.Root // the folder, or the one that the single file lies in
	name string   // of path in root: "." for a folder
}

// openTree opens a path that a service's project names. Links on the way to it
// are followed as Service.Reach allows; from where they lead to, none is.
func openTree(conf *project.Service, path string) (*tree, error) {
	real, err := conf.Reach(path)
	if err != nil {
		return nil, err
	}
	// From here on the way has no links, and one that appears on it now must not lead out.
	within, dir, name := conf.Dir, real, "."
	if !project.Within(within, real) || within == "" {
		within = filepath.Dir(real)
	}
	fi, err := os.Lstat(real)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		dir, name = filepath.Split(real)
	}
	root, err := hostfile.OpenRoot(within, filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	return &tree{path: path, root: root, name: name}, nil
}

func (t *tree) close() { t.root.Close() } // only opened for reading

// inRoot is a path at or below the tree's, as the root knows it.
func (t *tree) inRoot(file string) (string, error) {
	rel, err := filepath.Rel(t.path, file)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%s does not lie in %s", file, t.path)
	}
	if rel == "." {
		return t.name, nil
	}
	if t.name != "." {
		return "", &fs.PathError{Op: "lstat", Path: file, Err: syscall.ENOTDIR}
	}
	return rel, nil
}

// lstat records what stands at a path of the tree. ok is false for what can be
// neither copied nor built: kind says what it is.
func (t *tree) lstat(file string) (n FileStat, kind string, err error) {
	rel, err := t.inRoot(file)
	if err != nil {
		return FileStat{}, "", err
	}
	fi, err := t.root.Lstat(rel)
	if err != nil {
		return FileStat{}, "", err
	}
	return t.statOf(rel, fi)
}

func (t *tree) statOf(rel string, fi fs.FileInfo) (n FileStat, kind string, err error) {
	n, ok := statOf(fi)
	if !ok {
		return n, hostfile.KindOf(fi.Mode()), nil
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		n.Link, err = t.root.Readlink(rel)
	}
	return n, "", err
}

// open opens a regular file of the tree. Whatever else stands there by now is a
// *hostfile.KindError, or an error of the system.
func (t *tree) open(file string) (*os.File, error) {
	rel, err := t.inRoot(file)
	if err != nil {
		return nil, err
	}
	return hostfile.OpenIn(t.root, rel)
}

// walk calls f for what lies at and below the tree's path, a folder before what is
// in it, with the paths of the host and of the root. A folder for which f returns
// false is not entered; one that cannot be listed, or not whole, comes once more
// with the error, as does what cannot be looked at, without an info. A path is what
// the system says it is: it need not be UTF-8, which fs.WalkDir insists on.
func (t *tree) walk(f func(file, rel string, fi fs.FileInfo, err error) bool) {
	fi, err := t.root.Lstat(t.name)
	t.visit(t.path, t.name, fi, err, f)
}

func (t *tree) visit(
	file, rel string, fi fs.FileInfo, err error, f func(file, rel string, fi fs.FileInfo, err error) bool,
) {
	if !f(file, rel, fi, err) || err != nil || !fi.IsDir() {
		return
	}
	infos, err := t.list(rel, fi)
	if err != nil {
		f(file, rel, fi, err)
	}
	for _, in := range infos {
		t.visit(filepath.Join(file, in.Name()), filepath.Join(rel, in.Name()), in, nil, f)
	}
}

// list looks at what is in a folder of the tree, in the order of names. The folder
// is the one that was looked at before: of what came into its place since, the
// error is one for which gone is true. What was listed before another error is
// returned with it.
func (t *tree) list(rel string, was fs.FileInfo) ([]fs.FileInfo, error) {
	dir, err := hostfile.OpenFolderIn(t.root, rel, was)
	if err != nil {
		return nil, err
	}
	defer dir.Close() // only opened for reading
	infos, err := dir.Readdir(-1)
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return infos, err
}

// trees are those of a service's rules, opened when they are first asked for.
type trees struct {
	conf *project.Service
	all  map[string]*tree
	errs map[string]error
}

func newTrees(conf *project.Service) *trees {
	return &trees{conf: conf, all: map[string]*tree{}, errs: map[string]error{}}
}

// of opens the tree of a path that the project names.
func (t *trees) of(path string) (*tree, error) {
	if tr, ok := t.all[path]; ok {
		return tr, t.errs[path]
	}
	tr, err := openTree(t.conf, path)
	t.all[path], t.errs[path] = tr, err
	return tr, err
}

// lstat records what stands at a path of a rule; see tree.lstat.
func (t *trees) lstat(r *project.Rule, file string) (n FileStat, kind string, err error) {
	tr, err := t.of(r.Path)
	if err != nil {
		return FileStat{}, "", err
	}
	return tr.lstat(file)
}

func (t *trees) close() {
	for _, tr := range t.all {
		if tr != nil {
			tr.close()
		}
	}
	clear(t.all)
}
