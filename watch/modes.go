package watch

import "io/fs"

// permBits are the bits of a mode that chmod sets.
const permBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// modes are the permission bits of the files in one folder. Most files of a folder have the same,
// so that only the others take room.
type modes struct {
	known bool                   // the folder was listed
	some  bool                   // usual is known: there was a file
	usual fs.FileMode            // of the first file, and of all that are not in odd
	odd   map[string]fs.FileMode // by name
}

// note remembers the bits of a file and says whether they changed.
func (m *modes) note(name string, info fs.FileInfo) (changed bool) {
	if !info.Mode().IsRegular() {
		delete(m.odd, name) // a link has no bits of its own
		return false
	}
	is := info.Mode() & permBits
	if !m.some {
		m.some, m.usual = true, is
		return true
	}
	was, ok := m.odd[name]
	if !ok {
		was = m.usual
	}
	switch {
	case is == was:
		return false
	case is == m.usual:
		delete(m.odd, name)
	default:
		if m.odd == nil {
			m.odd = map[string]fs.FileMode{}
		}
		m.odd[name] = is
	}
	return true
}

func (m *modes) forget(name string) { delete(m.odd, name) }
