package ui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"

	"bulkhead/engine/logs"
)

// Config is what a person may set about the screen, in a file of their own. The zero value is the default.
type Config struct {
	// Keys gives actions other keys than their own, by the action's name as `bulkhead keys` prints it. An empty list
	// leaves the action to the palette.
	Keys       map[string][]string `yaml:"keys"`
	Theme      string              `yaml:"theme"`      // auto (default), dark, light
	Confirm    string              `yaml:"confirm"`    // data (default): ask before down; all: before kill, stop and restart too; none
	Notify     string              `yaml:"notify"`     // none (default), bell, desktop: when something breaks while the terminal has no focus
	Timestamps string              `yaml:"timestamps"` // absolute (default), relative, delta, none
	Mouse      string              `yaml:"mouse"`      // on (default), off
	Shells     []string            `yaml:"shells"`     // tried in this order; default bash, sh
	SaveDir    string              `yaml:"save_dir"`   // where saved logs go; default: the temporary directory
	LogSize    string              `yaml:"log_size"`   // memory for the lines of each service, all together at most 16 times that; default 16MiB
}

// LoadConfig reads a config file in YAML. A file that does not exist, and "", give the default. The error names the file, the
// line where it is known, and what to write instead.
func LoadConfig(path string) (Config, error) {
	if path == "" {
		return Config{}, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("read config: %w", err)
	}
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("%s: %s", path, oneLine(err.Error()))
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// check says what is wrong with a config, in one line.
func (c Config) check() error {
	for _, f := range []struct {
		name, value string
		allowed     []string
	}{
		{"theme", c.Theme, []string{"auto", "dark", "light"}},
		{"confirm", c.Confirm, []string{"data", "all", "none"}},
		{"notify", c.Notify, []string{"none", "bell", "desktop"}},
		{"timestamps", c.Timestamps, []string{"absolute", "relative", "delta", "none"}},
		{"mouse", c.Mouse, []string{"on", "off"}},
	} {
		if f.value != "" && !slices.Contains(f.allowed, f.value) {
			return fmt.Errorf("%s: %q is unknown; write one of %s", f.name, f.value, strings.Join(f.allowed, ", "))
		}
	}
	if c.LogSize != "" {
		if _, err := logs.ParseSize(c.LogSize); err != nil {
			return fmt.Errorf("log_size: %w", err)
		}
	}
	_, err := newKeymap(c)
	return err
}

// KeysConfig prints the key map in the form of the config file: every action with its keys, those of c where it sets
// them. It is YAML that LoadConfig reads.
func KeysConfig(c Config) string {
	km, err := newKeymap(c)
	if err != nil {
		km, _ = newKeymap(Config{}) // the default map is checked by a test
	}
	var b strings.Builder
	b.WriteString("# Save as the config file and change what you like; an empty list leaves an action to the palette.\nkeys:\n")
	group := ""
	for _, a := range km.actions {
		if a.group != group {
			group = a.group
			fmt.Fprintf(&b, "  # %s\n", group)
		}
		quoted := make([]string, len(a.keys))
		for i, k := range a.keys {
			quoted[i] = fmt.Sprintf("%q", k)
		}
		fmt.Fprintf(&b, "  %-24s %-28s # %s\n", a.name+":", "["+strings.Join(quoted, ", ")+"]", a.help)
	}
	return b.String()
}

// keymap is the one place where keys and actions meet.
type keymap struct {
	actions []action
	byKey   map[string][]int // indices into actions, in their order
}

// newKeymap gives every action its keys.
func newKeymap(c Config) (*keymap, error) {
	km := &keymap{actions: allActions(), byKey: map[string][]int{}}
	known := map[string]bool{}
	for i := range km.actions {
		a := &km.actions[i]
		known[a.name] = true
		if keys, set := c.Keys[a.name]; set {
			a.keys = keys
		}
		a.bind()
		for _, k := range a.keys {
			for _, j := range km.byKey[k] {
				if other := km.actions[j]; other.where == a.where {
					return nil, fmt.Errorf("keys: %q is both %s and %s; give one of them another key", k, other.name, a.name)
				}
			}
			km.byKey[k] = append(km.byKey[k], i)
		}
	}
	names := make([]string, 0, len(c.Keys))
	for name := range c.Keys {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !known[name] {
			return nil, fmt.Errorf("keys: no action %q; `bulkhead keys` lists them", name)
		}
	}
	return km, nil
}

// find gives the action that a key means in a pane: the pane's own meaning first, then the one that holds everywhere.
func (km *keymap) find(m *Model, key string, focus pane) *action {
	var wide *action
	for _, i := range km.byKey[key] {
		a := &km.actions[i]
		switch {
		case a.where&focus == 0, a.ok != nil && !a.ok(m):
		case a.where != paneAny:
			return a
		default:
			wide = a
		}
	}
	return wide
}

// oneLine makes one line of a message of several.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
