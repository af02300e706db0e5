package watch

import (
	"io/fs"
	"path/filepath"
)

// tree is a Root and what is known of it.
type tree struct {
	Root
	place place
	stamp stamp  // of the root itself; zero when it is missing
	git   string // the git folder that the root lies below; empty when there is none
	dead  bool   // its folder was forgotten: look at the root again
}

// ignored says whether the root leaves out the real path.
func (t *tree) ignored(real string, dir bool) bool {
	return t.Ignore != nil && t.Ignore(t.spell(real), dir)
}

// spell returns a real path below the root as it is spelled through the root.
func (t *tree) spell(real string) string {
	rel, ok := below(t.place.real, real)
	if !ok || t.place.info == nil || t.place.real == t.Path {
		return real
	}
	return filepath.Join(t.Path, rel)
}

// folder is a registered folder. Its real path is free of symlinks.
type folder struct {
	real  string
	id    fileID
	trees []*tree // who wants all that happens in it
	git   *gitdir // set when it is a git folder that is listened to
	// waiting are those who want to know about one name in it, because it is
	// an ancestor of their root.
	waiting map[string][]*tree
	kids    map[string]*folder  // registered folders in it
	skip    map[string]struct{} // folders in it that somebody ignores
	modes   modes               // of the files in it
	perm    fs.FileMode         // its own permission bits
	how     how
	// The kernel has one watch per folder and names it by one path. When the
	// same folder is reached by another (a bind mount), that one is an alias.
	twin    *folder   // set on an alias: who has the watch
	aliases []*folder // the other side of twin
}

// how says where the notices of a folder come from.
type how uint8

const (
	byNothing how = iota
	byKernel
	byPoll
	aliased
)

func (f *folder) noteSkip(name string) {
	if f.skip == nil {
		f.skip = map[string]struct{}{}
	}
	f.skip[name] = struct{}{}
}
