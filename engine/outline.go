package engine

import (
	"fmt"
	"slices"
	"strings"

	"bulkhead/engine/project"
)

// duty is what one batch asks of one service.
type duty struct {
	service string
	verb    string // in the order of dutyVerbs
}

// dutyVerbs are all that a batch can ask, the most costly first. Stale is for a service that is not watched automatically.
var dutyVerbs = []string{"prepare", "rebuild", "restart", "sync+restart", "sync+exec", "sync", "mark stale"}

// verb says what a work is going to be as far as its rules tell: the lane may find that a file is in the container already.
func (w *work) verb(conf *project.Service) string {
	has := func(a project.Action) bool {
		for i := range w.sync {
			if conf.Rules[i].Action == a {
				return true
			}
		}
		return false
	}
	switch {
	case w.prepare:
		return "prepare"
	case w.rebuild:
		return "rebuild"
	case len(w.sync) == 0:
		return "restart"
	case w.restart || has(project.SyncRestart):
		return "sync+restart"
	case has(project.SyncExec):
		return "sync+exec"
	}
	return "sync"
}

// outline prints what a batch leads to in one line: "27 files: rebuild api, sync web and worker".
func outline(files int, duties []duty) string {
	var parts []string
	for _, verb := range dutyVerbs {
		var who []string
		for _, d := range duties {
			if d.verb == verb {
				who = append(who, d.service)
			}
		}
		slices.Sort(who)
		if n := len(who); n > 1 {
			who = []string{strings.Join(who[:n-1], ", ") + " and " + who[n-1]}
		}
		if len(who) > 0 {
			parts = append(parts, verb+" "+who[0])
		}
	}
	return fileCount(files) + ": " + strings.Join(parts, ", ")
}

func fileCount(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
