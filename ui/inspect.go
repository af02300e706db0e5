package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"go.yaml.in/yaml/v4"

	"bulkhead/engine"
)

// inspect shows everything about the selected service.
func (d *detail) inspect() tea.Cmd {
	name := d.sel.service
	d.e.over = &textView{e: d.e, title: name, close: []string{d.e.keyOf("inspect")}, lines: func(w int) []string {
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
	sign, t := stateSign(s.State, s.Health, s.ExitCode, s.ByHand)
	pair("state", d.e.st.tone(t).s(sign+" "+stateText(s))+sinceText(s, s.Since.Local().Format("2006-01-02 15:04:05"), d.e.now))
	pair("health", s.Health.String())
	if s.ReadyBy != "" {
		pair("ready", readyText(s))
	}
	d.inspectFiles(s, pair)
	pair("waits for", strings.Join(s.WaitsFor, ", "))
	pair("doing", s.Doing)
	pair("error", d.e.st.bad.s(oneLine(s.Err)))
	pair("remedy", s.Remedy)
	pair("image", s.Image)
	pair("restarts", fmt.Sprintf("%d by policy; generation %d", s.Restarts, s.Generation))
	limit := ""
	if s.MemLimit > 0 {
		limit = " of " + bytesText(s.MemLimit)
	}
	pair("use", fmt.Sprintf("cpu %s  mem %s%s  in %s  out %s", percent(s.CPU), bytesText(s.Mem), limit, perSecond(s.NetRx), perSecond(s.NetTx)))
	pair("depends on", strings.Join(s.DependsOn, ", "))
	pair("defined at", s.Config.Place)
	d.inspectReplicas(s, head, pair, func(l string) { out = append(out, l) })
	if len(s.Rules) > 0 {
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
			pair("prepare", p.Run)
		}
	}
	d.inspectChanges(s, head, func(l string) { out = append(out, l) })
	head("CONFIGURATION  as loaded; what looks secret is masked")
	return append(out, configLines(s)...)
}

// inspectFiles lists the files that the running code does not have, and who brings them in.
func (d *detail) inspectFiles(s *engine.Service, pair func(k, v string)) {
	for _, list := range []struct {
		name, hint string
		paths      []string
	}{{"stale", "[" + d.e.keyOf("rebuild") + "] applies them, [" + d.e.keyOf("rebuild-stale") + "] all that is stale", s.Stale}, {"pending", "[" + d.e.keyOf("up") + "] applies them", s.Pending}} {
		for i, p := range list.paths {
			if i == 0 {
				pair(list.name, d.e.st.warn.s(d.e.snap.relative(p))+"   "+d.e.st.dim.s(list.hint))
			} else {
				pair(" ", d.e.st.warn.s(d.e.snap.relative(p)))
			}
		}
	}
}

func (d *detail) inspectReplicas(s *engine.Service, head func(string), pair func(k, v string), add func(string)) {
	for _, r := range s.Replicas {
		head(fmt.Sprintf("REPLICA %d", r.Number))
		pair("container", r.Name)
		pair("id", r.Identity.ID)
		if !r.Identity.Started.IsZero() {
			pair("started", r.Identity.Started.Local().Format("2006-01-02 15:04:05.000"))
		}
		pair("state", fmt.Sprintf("%s, %s; generation %d, %s", replicaText(&r), r.Health, r.Generation, plural(r.Identity.Restarts, "restart")))
		pair("cause", r.Cause)
		pair("image id", shortID(r.ImageID))
		for _, p := range r.Ports {
			if p.Published > 0 {
				pair("port", fmt.Sprintf("%s:%d -> %d/%s", p.Host, p.Published, p.Target, p.Protocol))
			}
		}
	}
}

// secretWord says whether a variable's name sounds like a secret's.
func secretWord(name string) bool {
	name = strings.ToUpper(name)
	for _, w := range []string{"PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH"} {
		if strings.Contains(name, w) {
			return true
		}
	}
	return false
}

// configLines is the service's part of the Compose file as it was loaded.
func configLines(s *engine.Service) []string {
	c := s.Config.Config
	if c.Name == "" {
		c.Name = s.Name
	}
	if len(c.Environment) > 0 {
		masked := make(map[string]*string, len(c.Environment))
		hidden := "********"
		for k, v := range c.Environment {
			if secretWord(k) && v != nil && *v != "" {
				v = &hidden
			}
			masked[k] = v
		}
		c.Environment = masked
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return []string{"  " + oneLine(err.Error())}
	}
	var out []string
	for _, l := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		out = append(out, "  "+strings.ReplaceAll(l, "\t", "  "))
	}
	return out
}
