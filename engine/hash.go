package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/hostfile"
	"bulkhead/engine/project"
)

// configHash is the config-hash label of a service whose references to other services' containers are resolved.
func configHash(conf *project.Service, parents map[string]string) (string, error) {
	hash, err := ConfigHash(conf, parents)
	if err != nil {
		return "", fmt.Errorf("hash the configuration of %s: %w", conf.Name, err)
	}
	return hash, nil
}

// ConfigHash is the config hash of a service that joins the containers of others: parents gives their container ids by
// service name, as in CreateSpec.Parents. Without parents it is the service's own Hash.
func ConfigHash(conf *project.Service, parents map[string]string) (string, error) {
	if len(parents) == 0 && len(conf.Bare.VolumesFrom) == 0 {
		return conf.Hash, nil
	}
	c := conf.Bare
	for _, mode := range []*string{&c.NetworkMode, &c.Ipc, &c.Pid} {
		if name, ok := strings.CutPrefix(*mode, "service:"); ok && parents[name] != "" {
			*mode = "container:" + parents[name]
		}
	}
	c.VolumesFrom = slices.Clone(c.VolumesFrom)
	for i, v := range c.VolumesFrom {
		// docker compose leaves out what follows the name (":ro") here, and so must an equal hash.
		if of, ok := strings.CutPrefix(v, "container:"); ok {
			c.VolumesFrom[i], _, _ = strings.Cut(of, ":")
			continue
		}
		name, _, _ := strings.Cut(v, ":")
		if id := parents[name]; id != "" {
			c.VolumesFrom[i] = id
		}
	}
	return project.ServiceHash(c)
}

// contentHash is a hash of the contents that a service gets from secrets and configs; "" when it has none. A file's content counts too: an
// editor that replaces the file leaves the old one mounted. docker compose leaves contents out of its own hash.
func contentHash(p *project.Project, conf *project.Service) string {
	h := sha256.New()
	used := false
	add := func(kind, name string, o types.FileObjectConfig) {
		content := o.Content
		switch {
		case o.File != "":
			b, err := hostfile.Read(o.File, hostfile.MaxOther)
			if err != nil {
				return // a folder, or a file that is not there: the start says what is wrong with it
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
	for _, ref := range conf.Config.Secrets {
		add("secret", ref.Source, types.FileObjectConfig(p.Secrets[ref.Source]))
	}
	for _, ref := range conf.Config.Configs {
		add("config", ref.Source, types.FileObjectConfig(p.Configs[ref.Source]))
	}
	if !used {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
