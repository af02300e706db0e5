package watch

import (
	"path/filepath"
	"strings"
)

// Ephemeral says whether path is, by its base name, a file that an editor or a
// tool makes for a moment beside the real one: swap files, locks, backups,
// and the temporary half of an atomic save. Nobody wants to sync or to rebuild
// for these.
func Ephemeral(path string) bool {
	base := filepath.Base(path)
	if strings.HasSuffix(base, "~") && len(base) > 1 {
		return true // backups of vim, emacs, gedit, kate
	}
	if strings.Contains(base, "___jb_") {
		return true // JetBrains: name___jb_tmp___, ___jb_old___, ___jb_bak___
	}
	for _, s := range []string{
		".kate-swp",
		"-go-tmp-umask", // the go command, beside what it installs
		".vsctmp",       // VS Code's atomic save
	} {
		if strings.HasSuffix(base, s) {
			return true
		}
	}
	if len(base) > 2 && base[0] == '#' && base[len(base)-1] == '#' {
		return true // emacs: automatic save
	}
	if rest, hidden := strings.CutPrefix(base, "."); hidden {
		switch {
		case rest == "DS_Store",
			strings.HasPrefix(rest, "#"),                                      // emacs: lock
			strings.HasPrefix(rest, "~lock.") && strings.HasSuffix(rest, "#"), // LibreOffice: lock
			strings.HasPrefix(rest, "goutputstream-"),                         // gedit and all of GLib
			strings.HasPrefix(rest, "fuse_hidden"),                            // removed while open
			strings.HasPrefix(rest, "nfs") && len(rest) > 12 && isHex(rest[3:]),
			strings.HasPrefix(rest, "subl") && strings.HasSuffix(rest, ".tmp"): // Sublime Text
			return true
		}
	}
	return vimSwap(base) || vimProbe(base) || sedTemp(base)
}

// vimSwap matches .name.swp, .swo, ... .swa when several editors are open, and
// the .swx and .swpx that vim makes to try names out.
func vimSwap(base string) bool {
	ext := filepath.Ext(base)
	if base[0] != '.' || len(ext) < 4 || len(ext) > 5 || !strings.HasPrefix(ext, ".sw") {
		return false
	}
	if len(ext) == 5 && ext[4] != 'x' {
		return false
	}
	return ext[3] >= 'a' && ext[3] <= 'p' || ext[3] == 'x'
}

// vimProbe matches the file by which vim tries whether a folder is writable:
// 4913, and 123 more each time that the name is taken.
func vimProbe(base string) bool {
	switch base {
	case "4913", "5036", "5159", "5282":
		return true
	}
	return false
}

// sedTemp matches sedXXXXXX of sed -i. Six lower-case letters are left alone,
// because then it may be a word (sedentary), and one sed file in two hundred
// does no harm.
func sedTemp(base string) bool {
	rest, ok := strings.CutPrefix(base, "sed")
	if !ok || len(rest) != 6 {
		return false
	}
	lower := true
	for _, c := range []byte(rest) {
		switch {
		case c >= 'a' && c <= 'z':
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			lower = false
		default:
			return false
		}
	}
	return !lower
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
