package project

import (
	"path/filepath"
	"strings"
)

// Syncs says whether any rule of the service copies files into its containers.
func (s *Service) Syncs() bool {
	for _, r := range s.Rules {
		if r.Action.Syncs() {
			return true
		}
	}
	return false
}

// Bound says whether a path on the host is in the containers already, through a
// bind mount.
func (s *Service) Bound(path string) bool {
	for _, v := range s.Config.Volumes {
		if v.Type == "bind" && Within(v.Source, path) {
			return true
		}
	}
	return false
}

// Claims says whether a changed path is a rule's of this service. The default
// rule does not rebuild for what a bind mount brings into the container anyway,
// but it does for the Dockerfile.
func (s *Service) Claims(r *Rule, path string) bool {
	if !r.Match(path) {
		return false
	}
	return !r.Default || filepath.Base(path) == filepath.Base(s.Dockerfile()) || !s.Bound(path)
}

// Dockerfile returns the path of the service's Dockerfile, "" when it has no build.
func (s *Service) Dockerfile() string {
	b := s.Config.Build
	if b == nil {
		return ""
	}
	file := b.Dockerfile
	if file == "" {
		file = "Dockerfile"
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(b.Context, file)
	}
	return file
}

// Within says whether a path on the host is dir, or lies below it.
func Within(dir, path string) bool {
	_, ok := below(dir, path)
	return ok
}

// Relative names a path as a person in the folder would, with forward slashes;
// one that does not lie in it stays as it is.
func Relative(dir, path string) string {
	if r, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(r, "..") {
		return filepath.ToSlash(r)
	}
	return path
}
