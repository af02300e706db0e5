package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ancestor is a name in a folder on the way to a root. Whatever happens to it may
// give the root another meaning: the root itself, a symlink before it, or the
// first element that is missing.
type ancestor struct{ dir, name string }

// place is what a root's path means right now.
type place struct {
	real      string      // free of symlinks; empty when the root is missing
	info      fs.FileInfo // of real; nil when the root is missing
	ancestors []ancestor
}

// maxLinks is how many symlinks Linux follows before it calls it a loop.
const maxLinks = 40

// resolve follows path element by element, so that it can tell every name on
// which the answer depends. Folders before the last element that are no
// symlinks are left out: watching all of them would mean hearing everything
// that happens in /tmp and in the home folder, and verify notices when one of
// them is moved.
func resolve(path string) place {
	volume := filepath.VolumeName(path)
	sep := string(filepath.Separator)
	cur := volume + sep
	rest := split(path[len(volume):])
	var p place
	links := 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			cur = filepath.Dir(cur)
			continue
		}
		next := filepath.Join(cur, name)
		info, err := os.Lstat(next)
		if err != nil {
			p.ancestors = append(p.ancestors, ancestor{cur, name})
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
				// A file where a folder should be: its replacement is what matters.
				dir, base := filepath.Split(cur)
				p.ancestors = append(p.ancestors, ancestor{filepath.Clean(dir), base})
			}
			return p
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			p.ancestors = append(p.ancestors, ancestor{cur, name})
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return p
			}
			if filepath.IsAbs(target) {
				volume = filepath.VolumeName(target)
				cur = volume + sep
				target = target[len(volume):]
			}
			rest = append(split(target), rest...)
			continue
		}
		cur = next
		if len(rest) == 0 {
			p.ancestors = append(p.ancestors, ancestor{filepath.Dir(cur), name})
		}
	}
	info, err := os.Lstat(cur)
	if err != nil {
		return p // gone in between; its ancestor is noted
	}
	p.real, p.info = cur, info
	return p
}

// split returns the elements of a path, without empty ones and dots.
func split(path string) []string {
	var parts []string
	for _, s := range strings.FieldsFunc(path, func(r rune) bool {
		return r < 0x80 && os.IsPathSeparator(uint8(r))
	}) {
		if s != "." {
			parts = append(parts, s)
		}
	}
	return parts
}
