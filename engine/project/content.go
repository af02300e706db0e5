package project

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/hostfile"
)

// ContentHash returns a hash of the contents that a service of p gets from
// secrets and configs; "" when it has none. A file's content counts too: an
// editor that replaces the file leaves the old one mounted. docker compose
// leaves contents out of its own hash.
func ContentHash(p *Project, s *Service) string {
	h := sha256.New()
	used := false
	add := func(kind, name string, o types.FileObjectConfig) {
		content := o.Content
		switch {
		case o.File != "":
			b, err := hostfile.Read(o.File, hostfile.MaxOther)
			if err != nil {
				return // a folder, or a missing file: the start reports what is wrong with it
			}
			content = string(b)
		case content == "" && o.Environment == "":
			return
		case content == "":
			content = p.Compose.Environment[o.Environment]
		}
		used = true
		fmt.Fprintf(h, "%s %s %d\n%s", kind, name, len(content), content)
	}
	for _, ref := range s.Config.Secrets {
		add("secret", ref.Source, types.FileObjectConfig(p.Secrets[ref.Source]))
	}
	for _, ref := range s.Config.Configs {
		if ref.Source == socketConfig {
			continue // credentials are renewed by themselves
		}
		add("config", ref.Source, types.FileObjectConfig(p.Configs[ref.Source]))
	}
	if !used {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
