package ui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// keyBindings are keys by the name of their action. In the config file it is a map of them, which
// may name a preset that it begins with, or only the name of one: `keys: k9s`.
type keyBindings map[string][]string

// presetKey is where the name of a preset stands among the bindings.
const presetKey = "preset"

// presets are what people know from other programs: moving, logs, shell, describing, the menu. What
// stops or removes something keeps its own keys, or loses one to a habit that destroys nothing.
var presets = map[string]keyBindings{
	"lazydocker": {
		"its-logs": {"m", "l"}, "shell": {"E", "e"}, "actions": {"x"}, "inspect": {"i", "d", "c"}, "graph": {},
		"next-tab": {"]"}, "previous-tab": {"["}, "next-pane": {"tab", "l"},
		"previous-pane": {"shift+tab", "h"},
	},
	"k9s": {
		"its-logs": {"l"}, "shell": {"s", "e"}, "stop-start": {}, "inspect": {"d", "i", "y"},
		"actions": {"x"}, "graph": {"c"},
		"back": {"esc", "backspace"}, "page-up": {"pgup", "ctrl+b"}, "page-down": {"pgdown", "ctrl+f"},
	},
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (k *keyBindings) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		*k = keyBindings{presetKey: {n.Value}}
		return nil
	}
	out := map[string]any{}
	if err := n.Decode(&out); err != nil {
		return err
	}
	*k = keyBindings{}
	for name, v := range out {
		switch v := v.(type) {
		case string:
			(*k)[name] = []string{v}
		case []any:
			(*k)[name] = []string{}
			for _, one := range v {
				(*k)[name] = append((*k)[name], fmt.Sprint(one))
			}
		default:
			return fmt.Errorf("line %d: keys: %s: write a list of keys", n.Line, name)
		}
	}
	return nil
}

// bindings are those of a config: the ones of its preset, and over them its own.
func (c Config) bindings() (keyBindings, error) {
	named := c.Keys[presetKey]
	if len(named) == 0 {
		return c.Keys, nil
	}
	preset, ok := presets[named[0]]
	if !ok {
		return nil, &settingError{"keys", fmt.Sprintf("keys: there is no preset %q; write one of %s",
			named[0], strings.Join(slices.Sorted(maps.Keys(presets)), ", "))}
	}
	out := maps.Clone(preset)
	maps.Copy(out, c.Keys)
	delete(out, presetKey)
	return out, nil
}
