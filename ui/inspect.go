package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"go.yaml.in/yaml/v4"

	"bulkhead/engine"
	"bulkhead/engine/project"
	"bulkhead/ui/duration"
)

// inspect shows everything about the selected service.
func (d *detail) inspect() tea.Cmd {
	name := d.sel.service
	d.reveal = false
	d.e.over = &textView{e: d.e, title: name, about: name, keys: map[string]func() tea.Cmd{
		"m": func() tea.Cmd {
			d.reveal = !d.reveal
			return nil
		}}, close: d.e.keysOf("inspect"), copy: d.clip.text("what is known of " + name),
		lines: func(w int) []string {
			s := d.e.snap.service(name)
			if s == nil {
				return []string{"The service is not in the project any more."}
			}
			return d.inspectLines(s, w)
		}}
	return nil
}

func (d *detail) inspectLines(s *engine.Service, w int) []string {
	var out []string
	head := func(t string) {
		if len(out) > 0 {
			out = append(out, "")
		}
		out = append(out, d.e.st.titleFocus.s(t))
	}
	pair := func(k, v string) {
		if v != "" {
			out = append(out, "  "+d.e.st.dim.s(fit(k, 13))+v)
		}
	}
	head("STATE")
	sign, t := signOf(s)
	pair("state", d.e.st.tone(t).s(sign+" "+stateText(s))+
		sinceText(s, s.Since.Local().Format("2006-01-02 15:04:05"), d.e.now))
	pair("health", healthWord(s))
	d.inspectCheck(s, pair)
	if s.ReadyBy != "" {
		pair("ready", readyText(s))
	}
	d.inspectFiles(s, pair)
	pair("waits for", s.WaitsFor.String())
	pair("doing", s.Doing)
	pair("error", d.e.st.bad.s(oneLine(s.Err)))
	pair("remedy", s.Remedy)
	pair("image", s.Image)
	pair("restarts", fmt.Sprintf("%d by policy; run %d", s.Restarts, s.Generation))
	limit := ""
	if s.MemLimit > 0 {
		limit = " of " + bytesText(s.MemLimit)
	}
	pair("use", fmt.Sprintf("cpu %s  mem %s%s  in %s  out %s", percent(s.CPU), bytesText(s.Mem),
		limit, perSecond(s.NetRx), perSecond(s.NetTx)))
	pair("depends on", strings.Join(s.DependsOn, ", "))
	pair("defined at", s.Config.Place)
	d.inspectReplicas(s, w, head, pair, func(l string) { out = append(out, l) })
	d.inspectRules(s, head, pair)
	d.inspectChanges(s, head, func(l string) { out = append(out, l) })
	what := "what looks like a secret is masked, m shows it"
	if d.reveal {
		what = "m masks what looks like a secret"
	}
	head("CONFIGURATION  as loaded; " + what)
	return append(out, configLines(s, d.reveal)...)
}

func (d *detail) inspectRules(s *engine.Service, head func(string), pair func(k, v string)) {
	if len(s.Rules) == 0 {
		return
	}
	head("WATCH  " + s.Mode.String())
	for _, r := range s.Rules {
		text := fmt.Sprintf("%s -> %s", d.e.snap.relative(r.Path), r.Target)
		if r.Target == "" {
			text = d.e.snap.relative(r.Path)
		}
		if r.Default {
			text += "  (default rule: the build context)"
		}
		if len(r.Ignore) > 0 {
			text += "  ignore " + strings.Join(r.Ignore, " ")
		}
		pair(r.Action.String(), text)
	}
	if p := s.Config.Extra.Prepare; p != nil {
		pair("prepare", project.MaskText(p.Run))
	}
}

// healthWord is the health of a service, and where it has no check says so.
func healthWord(s *engine.Service) string {
	if s.Health == engine.HealthNone && (s.State == engine.StateRunning || s.State == engine.StateCrashing) {
		return "no healthcheck"
	}
	return s.Health.String()
}

// inspectCheck says what the last healthcheck found.
func (d *detail) inspectCheck(s *engine.Service, pair func(k, v string)) {
	c := worstReplica(s).Check
	if c == nil {
		return
	}
	text := fmt.Sprintf("exit %d", c.ExitCode)
	if c.Failing > 0 {
		text += fmt.Sprintf(", failed %s in a row", plural(c.Failing, "time"))
	}
	if !c.Since.IsZero() {
		text += ", unhealthy for " + duration.Age(d.e.now.Sub(c.Since))
	}
	pair("last check", text)
	for i, l := range strings.Split(strings.TrimSpace(c.Output), "\n") {
		if i == 0 {
			pair("it printed", oneLine(l))
		} else {
			pair(" ", oneLine(l))
		}
	}
}

// inspectFiles lists the files that the running code does not have, and who brings them in.
func (d *detail) inspectFiles(s *engine.Service, pair func(k, v string)) {
	for _, list := range []struct {
		name, hint string
		paths      []string
	}{{"stale", "[" + d.e.keyOf("up") + "] applies them, [" + d.e.keyOf("rebuild-stale") +
		"] all that is stale", s.Stale}, {"pending", "[" + d.e.keyOf("up") + "] applies them", s.Pending}} {
		for i, p := range list.paths {
			if i == 0 {
				pair(list.name, d.e.st.warn.s(d.e.snap.relative(p))+"   "+d.e.st.dim.s(list.hint))
			} else {
				pair(" ", d.e.st.warn.s(d.e.snap.relative(p)))
			}
		}
	}
}

func (d *detail) inspectReplicas(
	s *engine.Service, w int, head func(string), pair func(k, v string), add func(string),
) {
	for _, r := range s.Replicas {
		head(fmt.Sprintf("REPLICA %d", r.Number))
		pair("container", r.Name)
		id := r.Identity.ID
		if width(id) > w-15 {
			id = shortID(id)
		}
		pair("id", id)
		if !r.Identity.Started.IsZero() {
			pair("started", r.Identity.Started.Local().Format("2006-01-02 15:04:05.000"))
		}
		state := replicaText(&r)
		if r.Health != engine.HealthNone {
			state += ", " + r.Health.String()
		}
		pair("state", fmt.Sprintf("%s; run %d, %s", state, r.Generation, plural(r.Identity.Restarts,
			"restart")))
		pair("cause", r.Cause)
		pair("image id", shortID(r.ImageID))
		for _, p := range r.Ports {
			if p.Published > 0 {
				pair("port", fmt.Sprintf("%s:%d -> %d/%s", p.Host, p.Published, p.Target, p.Protocol))
			}
		}
	}
}

// configLines is the service's part of the Compose file as it was loaded. What looks secret is
// masked unless it is to be revealed.
func configLines(s *engine.Service, reveal bool) []string {
	c := s.Config.Config
	if c.Name == "" {
		c.Name = s.Name
	}
	var doc yaml.Node
	err := doc.Encode(c)
	var b []byte
	if err == nil {
		if !reveal {
			maskNode("", &doc)
		}
		b, err = yaml.Marshal(&doc)
	}
	if err != nil {
		return []string{"  " + oneLine(err.Error())}
	}
	var out []string
	for _, l := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		out = append(out, "  "+strings.ReplaceAll(l, "\t", "  "))
	}
	return out
}

// maskNode masks what looks secret in the value of a name: a text by its name and its shape, what is
// deeper by the names there.
func maskNode(name string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			maskNode(n.Content[i].Value, n.Content[i+1])
		}
	case yaml.ScalarNode:
		if n.Tag != "!!str" && n.Tag != "!!int" && n.Tag != "!!float" {
			return
		}
		if masked := project.MaskValue(name, n.Value); masked != n.Value {
			n.Value, n.Tag, n.Style = masked, "!!str", 0
		}
	default:
		for _, item := range n.Content {
			maskNode("", item)
		}
	}
}
