package ui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"

	"bulkhead/engine/hostfile"
	"bulkhead/engine/logs"
)

// Config is what a person may set about the screen, in a file of their own. The zero value is the default.
type Config struct {
	// Keys binds actions to other keys than their own, by the action's name as `bulkhead keys` prints it. An empty list
	// leaves the action to the palette.
	Keys       keyBindings `yaml:"keys"`
	Theme      string      `yaml:"theme"`
	Confirm    string      `yaml:"confirm"`
	Notify     string      `yaml:"notify"`
	Title      string      `yaml:"title"`
	Progress   string      `yaml:"progress"`
	Timestamps string      `yaml:"timestamps"`
	Mouse      string      `yaml:"mouse"`
	Links      string      `yaml:"links"`
	// of services' names, as #rrggbb or a number of the terminal's 256 colours
	Colors map[string]string `yaml:"colors"`
	// AlertCommand runs for each alert, with the line on its stdin and the service in BULKHEAD_SERVICE.
	AlertCommand []string `yaml:"alert_command"`
	Shells       []string `yaml:"shells"`   // tried in this order; default bash, sh
	SaveDir      string   `yaml:"save_dir"` // where saved logs go; default: the temporary directory
	// memory for the lines of each service, all together at most 16 times that; default 16MiB
	LogSize string `yaml:"log_size"`
}

// setting is one line of the config file that takes one of a few words; the first is the default.
type setting struct {
	name    string
	value   string
	allowed []string
	help    string
}

// settings are those of c.
func (c *Config) settings() []setting {
	return []setting{
		{"theme", c.Theme, []string{"auto", "dark", "light", "contrast", "ansi", "none"},
			"auto asks the terminal for its background; contrast uses no faint text; ansi uses the terminal's own sixteen colours; none has no colours, as with NO_COLOR"},
		{"confirm", c.Confirm, []string{"data", "all", "none"},
			"data asks before down; all before kill, stop and restart too"},
		{"notify", c.Notify, []string{"bell", "osc9", "osc777", "none"},
			"when something crashes or a build does not succeed while the terminal has no focus: its bell, or a note on the desktop by OSC 9 (iTerm2, WezTerm, Ghostty, kitty) or OSC 777 (foot, urxvt, GNOME's); tmux wants focus-events and allow-passthrough on"},
		{"title", c.Title, []string{"on", "off"}, "the window's title shows the worst state"},
		{"progress", c.Progress, []string{"auto", "on", "off"},
			"builds in the task bar or the tab (OSC 9;4); auto: in terminals that are known to show it"},
		{"timestamps", c.Timestamps, []string{"absolute", "relative", "delta", "none"}, "before log lines"},
		{"mouse", c.Mouse, []string{"on", "off"}, "off leaves the mouse to the terminal"},
		{"links", c.Links, []string{"auto", "off"},
			"paths in logs and build errors are links to the files of this machine (OSC 8); auto: where the terminal is not known to lack them, and has colours"},
	}
}

// LoadConfig reads a config file in YAML. A file that does not exist, and "" mean the default. The
// error names the file, the line where it is known, and what to write instead.
func LoadConfig(path string) (Config, error) {
	if path == "" {
		return Config{}, nil
	}
	b, err := hostfile.Read(path, hostfile.MaxOther)
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
		text := oneLine(err.Error())
		if m := unknownField.FindStringSubmatch(text); m != nil {
			return Config{},
				fmt.Errorf("%s:%s: there is no setting %q; `bulkhead keys` prints all of them", path,
					m[1], m[2])
		}
		return Config{}, fmt.Errorf("%s: %s", path, text)
	}
	if err := c.check(); err != nil {
		var bad *settingError
		if errors.As(err, &bad) {
			if n := lineOf(b, bad.name); n > 0 {
				return Config{}, fmt.Errorf("%s:%d: %w", path, n, err)
			}
		}
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// unknownField is how the YAML library words a key that Config does not have.
var unknownField = regexp.MustCompile(`line (\d+): field (\S+) not found in type`)

// colourValue is how a colour is written.
var colourValue = regexp.MustCompile(
	`^(#[0-9a-fA-F]{6}|#[0-9a-fA-F]{3}|[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$`)

// settingError is what is wrong with one key of the config file.
type settingError struct{ name, text string }

func (e *settingError) Error() string { return e.text }

// lineOf is the line that a key is on, 0 when it is not found.
func lineOf(file []byte, key string) int {
	for i, l := range strings.Split(string(file), "\n") {
		if name, _, ok := strings.Cut(strings.TrimSpace(l), ":"); ok && strings.Trim(name, `"'`) == key {
			return i + 1
		}
	}
	return 0
}

// check says what is wrong with a config, in one line.
func (c Config) check() error {
	for _, s := range c.settings() {
		if s.value != "" && !slices.Contains(s.allowed, s.value) {
			return &settingError{s.name, fmt.Sprintf("%s: %q is unknown; write one of %s", s.name,
				s.value, strings.Join(s.allowed, ", "))}
		}
	}
	for service, value := range c.Colors {
		if !colourValue.MatchString(value) {
			return &settingError{service,
				fmt.Sprintf("colors: %s: %q is not a colour; write one like \"#5fd7d7\", or a number up to 255", service, value)}
		}
	}
	if c.LogSize != "" {
		if _, err := logs.ParseSize(c.LogSize); err != nil {
			return &settingError{"log_size", "log_size: " + err.Error()}
		}
	}
	_, err := newKeymap(c, defaultActions())
	return err
}

// quotedWords writes words as a list of YAML.
func quotedWords(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", w)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// KeysConfig prints all settings and the key map in the form of the config file: every action with
// its keys, those of c where it sets them. It is YAML that LoadConfig reads. path is where the file
// belongs.
func KeysConfig(c Config, path string) string {
	km, err := newKeymap(c, defaultActions())
	if err != nil {
		km, _ = newKeymap(Config{}, defaultActions()) // the default map is checked by a test
	}
	if path == "" {
		path = "bulkhead/config.yaml in $XDG_CONFIG_HOME"
	}
	var b strings.Builder
	fmt.Fprintf(&b,
		"# Save as %s\n# and keep what you change. Lines that begin with # show defaults.\n\n", path)
	for _, s := range c.settings() {
		for _, l := range wrapped(s.help, 90) {
			fmt.Fprintf(&b, "# %s\n", l)
		}
		mark, value := "", s.value
		if value == "" || value == s.allowed[0] {
			mark, value = "# ", s.allowed[0]
		}
		fmt.Fprintf(&b, "%-24s # %s\n\n", mark+s.name+": "+value, strings.Join(s.allowed, ", "))
	}
	list := func(help, name string, set bool, value string) {
		mark := "# "
		if set {
			mark = ""
		}
		fmt.Fprintf(&b, "# %s\n%s%s: %s\n\n", help, mark, name, value)
	}
	own := make([]string, 0, len(c.Colors))
	for _, service := range slices.Sorted(maps.Keys(c.Colors)) {
		own = append(own, fmt.Sprintf("%s: %q", service, c.Colors[service]))
	}
	list("colours of services' names, as api: \"#5fd7d7\"", "colors", len(own) > 0,
		"{"+strings.Join(own, ", ")+"}")
	list("runs for each line that x-bulkhead.alerts asks for: the line is its input, BULKHEAD_SERVICE says whose it is", "alert_command", len(c.AlertCommand) > 0, quotedWords(c.AlertCommand))
	list("shells that are tried, in this order", "shells", len(c.Shells) > 0, quotedWords(c.shells()))
	dir := c.SaveDir
	if dir == "" {
		dir = os.TempDir()
	}
	list("where saved logs go; in the project's folder they would start rebuilds", "save_dir",
		c.SaveDir != "", fmt.Sprintf("%q", dir))
	size := c.LogSize
	if size == "" {
		size = "16MiB"
	}
	list("memory for the log lines of each service; all together take at most 16 times that",
		"log_size", c.LogSize != "", size)
	km.print(&b)
	return b.String()
}

// print writes the key map in the form of the config file.
func (km *keymap) print(b *strings.Builder) {
	b.WriteString(
		"# Keys as a list; an empty one leaves an action to the palette. `keys: lazydocker` or `keys: k9s` has their habits for\n" +
			"# moving, logs, shell, describing and the menu; `preset: k9s` in the list goes with keys of your own.\nkeys:\n")
	group := ""
	for _, a := range km.actions {
		if a.group != group {
			group = a.group
			fmt.Fprintf(b, "  # %s\n", group)
		}
		fmt.Fprintf(b, "  %-24s %-28s # %s\n", a.name+":", quotedWords(a.keys), a.help)
	}
}

// keymap is the one place where keys and actions meet.
type keymap struct {
	actions []action
	byKey   map[string][]int // indices into actions, in their order
}

// newKeymap binds actions to their keys.
func newKeymap(c Config, actions []action) (*keymap, error) {
	set, err := c.bindings()
	if err != nil {
		return nil, err
	}
	c.Keys = set
	km := &keymap{actions: actions, byKey: map[string][]int{}}
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
				if other := km.actions[j]; slices.Equal(other.where, a.where) {
					at := a.name
					if _, set := c.Keys[at]; !set {
						at = other.name
					}
					return nil, &settingError{at,
						fmt.Sprintf("keys: %q is both %s and %s; bind one of them to another key", k,
							other.name, a.name)}
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
			return nil, &settingError{name, fmt.Sprintf("keys: no action %q; `bulkhead keys` lists them", name)}
		}
	}
	return km, nil
}

// find returns the action that a key means in a pane: the pane's own meaning first, then the one that holds everywhere.
func (km *keymap) find(key string, focus paneID) *action {
	var wide *action
	for _, i := range km.byKey[key] {
		a := &km.actions[i]
		switch {
		case !a.worksIn(focus), !a.can():
		case !a.everywhere():
			return a
		default:
			wide = a
		}
	}
	return wide
}

// elsewhere says what a key does where it does something: in another pane, or here at another
// time; "" for a key that no action has.
func (km *keymap) elsewhere(key string, focus paneID, panes []paneID) string {
	for _, i := range km.byKey[key] {
		a := &km.actions[i]
		if a.worksIn(focus) {
			return fmt.Sprintf("%s: nothing to do now (%s)", keyName(key), a.help)
		}
		for n, p := range panes {
			if a.worksIn(p) {
				return fmt.Sprintf("%s belongs to the %s: %d", keyName(key), p, n+1)
			}
		}
	}
	return ""
}

// oneLine makes one line of a message of several, safe for a terminal.
func oneLine(s string) string { return strings.Join(strings.Fields(logs.CleanLine(s)), " ") }
