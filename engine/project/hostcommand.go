package project

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"
)

// HostCommand is a program that the files ask to run on this machine, as a person has to agree to
// it: with variables filled in from the project's own files, while those of the person's shell stay
// ${NAME}.
type HostCommand struct {
	Service string
	Kind    string   // "prepare", "provider"
	Place   string   // "compose.yaml:12"; "" when unknown
	Command string   `text:"lines"` // a line for the shell, or the program with its arguments
	Env     []string // "KEY=value" over the environment of the process, sorted
}

// HostCommands lists what the services of a project run on this machine, by service.
func (p *Project) HostCommands() []HostCommand {
	var all []HostCommand
	for _, s := range p.Services {
		all = append(all, s.HostCommands...)
	}
	return all
}

// hostCommands lists those of one service.
func (a *assembler) hostCommands(s *Service) []HostCommand {
	var all []HostCommand
	if p := s.Extra.Prepare; p != nil {
		c := HostCommand{Service: s.Name, Kind: "prepare", Place: a.place(s.Name, extensionKey,
			"prepare", "run"), Command: a.named.text(p.written)}
		for key, value := range p.Env {
			c.Env = append(c.Env, key+"="+a.named.text(value))
		}
		slices.Sort(c.Env)
		all = append(all, c)
	}
	if p := s.Config.Provider; p != nil {
		words := []string{a.named.text(p.Type), "compose", "--project-name=" + a.p.Name, "up"}
		for _, key := range slices.Sorted(maps.Keys(p.Options)) {
			for _, value := range p.Options[key] {
				words = append(words, fmt.Sprintf("--%s=%s", key, a.named.text(value)))
			}
		}
		c := HostCommand{Service: s.Name, Kind: "provider", Place: a.place(s.Name, "provider",
			"type"), Command: strings.Join(append(words, s.Name), " ")}
		for _, key := range slices.Sorted(maps.Keys(a.p.Compose.Environment)) {
			if _, own := a.named.shell[key]; !own && key != "COMPOSE_PROJECT_NAME" && key != "PWD" {
				c.Env = append(c.Env, key+"="+a.p.Compose.Environment[key])
			}
		}
		all = append(all, c)
	}
	return all
}

func (a *assembler) place(service string, path ...string) string {
	return a.sources.show(a.sources.find(append([]string{"services", service}, path...)...))
}

// named remembers how texts that describe host commands are written, with the variables of the
// person's shell by their names. Two texts that come to the same are distinguished by nothing; the
// first in order stands for both.
type named struct {
	shell   map[string]string
	written map[string]bool   // texts with variables, below x-bulkhead or provider
	byValue map[string]string // what they come to -> how they are written
}

func newNamed(shell map[string]string) *named {
	return &named{shell: shell, written: map[string]bool{}, byValue: map[string]string{}}
}

// note collects the texts of a document.
func (n *named) note(doc *yaml.Node) {
	type visit struct {
		node   *yaml.Node
		inside bool
	}
	seen := map[visit]bool{} // aliases may lead to the same node very often
	var below func(node *yaml.Node, inside bool)
	below = func(node *yaml.Node, inside bool) {
		if node == nil || seen[visit{node, inside}] {
			return
		}
		seen[visit{node, inside}] = true
		if node.Kind == yaml.ScalarNode && inside && strings.Contains(node.Value, "$") {
			n.written[node.Value] = true
		}
		below(node.Alias, inside)
		for i, item := range node.Content {
			key := ""
			if node.Kind == yaml.MappingNode && i%2 == 1 {
				key = node.Content[i-1].Value
			}
			below(item, inside || key == "provider" || key == extensionKey)
		}
	}
	below(doc, false)
}

// substitute fills in variables as compose-go does, and notes how the result is written.
func (n *named) substitute(text string, value template.Mapping) (string, error) {
	out, err := template.Substitute(text, value)
	if err != nil || !n.written[text] {
		return out, err
	}
	own := false
	written, werr := template.SubstituteWithOptions(text, func(key string) (string, bool) {
		v, ok := value(key)
		if mine, set := n.shell[key]; set && ok && mine == v {
			own = true
			return "${" + key + "}", true
		}
		return v, ok
	}, template.WithoutLogging)
	if was, taken := n.byValue[out]; own && werr == nil && (!taken || written < was) {
		n.byValue[out] = written
	}
	return out, nil
}

// text returns a text with the variables of the shell by their names.
func (n *named) text(value string) string {
	if written, ok := n.byValue[value]; ok {
		return strings.TrimSpace(written)
	}
	return strings.TrimSpace(value)
}
