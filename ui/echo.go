package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// echo says which docker commands do the same as what was pressed, so that people learn them and
// can write them into scripts.
type echo struct {
	e    *env
	sel  *selection
	clip *clipboard
}

// of returns the docker commands that do what a command of the screen does, one a line; none for
// what docker has no command for.
func (x *echo) of(c engine.Command) []string {
	var names []string
	for _, service := range c.Services {
		s := x.e.snap.service(service)
		if s == nil {
			continue
		}
		for _, r := range s.Replicas {
			if (c.Replica == 0 || r.Number == c.Replica) && r.Name != "" {
				names = append(names, r.Name)
			}
		}
	}
	containers, services := strings.Join(names, " "), strings.Join(c.Services, " ")
	compose := "docker compose -p " + x.e.snap.Project
	for _, f := range x.e.snap.Files {
		compose += " -f " + shellWord(f)
	}
	switch c.Verb {
	case engine.VerbRestart, engine.VerbStop, engine.VerbStart, engine.VerbPause, engine.VerbUnpause:
		if containers == "" {
			return []string{compose + " " + string(c.Verb) + " " + services}
		}
		return []string{"docker " + string(c.Verb) + " " + containers}
	case engine.VerbKill:
		if c.Signal != "" && c.Signal != "SIGKILL" {
			return []string{"docker kill -s " + c.Signal + " " + containers}
		}
		return []string{"docker kill " + containers}
	case engine.VerbRebuild:
		return []string{compose + " up -d --no-deps --build " + services}
	case engine.VerbScale:
		return []string{fmt.Sprintf("%s up -d --no-recreate --scale %s=%d %s", compose, services,
			c.Scale, services)}
	case engine.VerbUp:
		return []string{strings.TrimSpace(compose + " up -d " + services)}
	case engine.VerbApply:
		return []string{strings.TrimSpace(compose + " up -d --no-deps " + x.changed())}
	case engine.VerbDown:
		return []string{compose + " down"}
	}
	return nil
}

// changed names the services that a changed Compose file still has.
func (x *echo) changed() string {
	var names []string
	if r := x.e.snap.Reload; r != nil {
		for _, c := range r.Changes {
			if c.Kind != project.Removed && !slices.Contains(names, c.Service) {
				names = append(names, c.Service)
			}
		}
	}
	return strings.Join(names, " ")
}

// shellWord quotes a word for a shell where it needs that.
func shellWord(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t'\"$&;()<>|*?[]#~`!{}\\") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// note keeps the docker commands of one that was sent, for the events.
func (x *echo) note(c engine.Command) {
	for _, line := range x.of(c) {
		x.e.status.keepCommand(line)
	}
}

// open shows what the keys are in docker's commands, for the selection.
func (x *echo) open() tea.Cmd {
	x.e.over = &textView{e: x.e, title: "The same with docker", close: x.e.keysOf("echo"),
		copy: x.clip.text("the commands"), lines: func(int) []string {
			return x.lines()
		}}
	return nil
}

func (x *echo) lines() []string {
	names, replica := x.sel.targets()
	var out []string
	add := func(action, does, text string) {
		out = append(out, "  "+x.e.st.key.s(fit(x.e.keyOf(action), 4))+fit(does, 10)+text)
	}
	if len(names) > 0 {
		out = append(out, x.e.st.titleFocus.s(strings.Join(names, ", ")))
		for _, v := range []struct {
			action string
			verb   engine.Verb
		}{{"restart", engine.VerbRestart}, {"stop-start", engine.VerbStop},
			{"stop-start", engine.VerbStart}, {"kill", engine.VerbKill}, {"pause", engine.VerbPause},
			{"pause", engine.VerbUnpause}, {"rebuild", engine.VerbRebuild}, {"up", engine.VerbUp}} {
			for _, line := range x.of(engine.Command{Verb: v.verb, Services: names, Replica: replica}) {
				add(v.action, string(v.verb), line)
			}
		}
		if s := x.sel.one(); s != nil && len(s.Replicas) > 0 && s.Replicas[0].Name != "" {
			add("shell", "shell", "docker exec -it "+s.Replicas[0].Name+" sh")
			add("logs", "logs", "docker logs -f "+s.Replicas[0].Name)
			add("inspect", "inspect", "docker inspect "+s.Replicas[0].Name)
		}
		out = append(out, "")
	}
	out = append(out, x.e.st.titleFocus.s("what was done, the latest first"))
	done := 0
	for _, n := range slices.Backward(x.e.status.notes) {
		if n.command {
			out = append(out, "  "+x.e.st.dim.s(n.at.Local().Format("15:04:05"))+"  "+n.text)
			done++
		}
	}
	if done == 0 {
		out = append(out, x.e.st.dim.s("  nothing yet"))
	}
	return out
}
