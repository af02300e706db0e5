package plan

import (
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

func serviceOf(built bool, pullPolicy string) *project.Service {
	s := &project.Service{Name: "web", Image: "shop-web", Built: built}
	s.Config.PullPolicy = pullPolicy
	return s
}

func onPlatform(s *project.Service, platform string) *project.Service {
	s.Config.Platform = platform
	return s
}

func TestImageIsBuiltOrPulledForAReason(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	have := &container.Image{ID: "i", LastTag: now.Add(-2 * time.Hour)}
	built, named := serviceOf(true, ""), serviceOf(false, "")
	for name, c := range map[string]struct {
		seen ImageSeen
		want string
	}{
		"there":     {ImageSeen{Service: built, Have: have}, "web: keep"},
		"not there": {ImageSeen{Service: built}, "web: build (no image)"},
		"asked for": {ImageSeen{Service: built, Have: have, Asked: "you pressed b",
			Policy: BuildNever}, "web: build (you pressed b)"},
		"--build": {ImageSeen{Service: built, Have: have, First: true,
			Policy: BuildAlways}, "web: build (--build)"},
		"--build, later": {ImageSeen{Service: built, Have: have, Policy: BuildAlways}, "web: keep"},
		"--no-build": {ImageSeen{Service: built, First: true, Policy: BuildNever},
			"create web: image shop-web is not there and --no-build was given; run `bulkhead rebuild web`"},
		"older than its files": {ImageSeen{Service: built, Have: have, First: true, Watched: true,
			Changed: "files changed"}, "web: build (files changed)"},
		"older, not watched": {ImageSeen{Service: built, Have: have, First: true,
			Changed: "files changed"}, "web: keep"},
		"older, --no-build": {ImageSeen{Service: built, Have: have, First: true, Watched: true,
			Policy: BuildNever, Changed: "files changed"}, "web: keep"},
		"pull_policy: build": {ImageSeen{Service: serviceOf(true, "build"), Have: have, First: true},
			"web: build (pull_policy: build)"},
		"another builds it": {ImageSeen{Service: named, Maker: "api"}, "web: await (api builds it)"},
		"beside, there": {ImageSeen{Service: named, Maker: "api", Beside: true, Have: have,
			First: true}, "web: keep"},
		"beside, --build": {ImageSeen{Service: named, Maker: "api", Beside: true, Have: have,
			First: true, Policy: BuildAlways}, "web: await (api builds it)"},
		"beside, not there": {ImageSeen{Service: named, Maker: "api", Beside: true},
			"web: await (api builds it)"},
		"beside, --no-build": {ImageSeen{Service: named, Maker: "api", Beside: true,
			Policy: BuildNever}, "web: pull (no image)"},
		"to be pulled": {ImageSeen{Service: named}, "web: pull (no image)"},
		"pulled":       {ImageSeen{Service: named, Have: have, First: true}, "web: keep"},
		"always": {ImageSeen{Service: serviceOf(false, "always"), Have: have, First: true},
			"web: pull (pull_policy: always)"},
		"always, later": {ImageSeen{Service: serviceOf(false, "always"), Have: have}, "web: keep"},
		"never, other platform": {
			ImageSeen{Service: onPlatform(serviceOf(false, "never"), "linux/arm64"),
				Other: &container.Image{OS: "linux", Arch: "amd64"}},
			"create web: image shop-web is there for linux/amd64 and not for linux/arm64, and its pull_policy is never; load that, or change platform: or the policy",
		},
		"never": {ImageSeen{Service: serviceOf(false, "never")},
			"create web: image shop-web is not there and its pull_policy is never; load it, or change the policy"},
		"every hour": {ImageSeen{Service: serviceOf(false, "every_1h"), Have: have,
			First: true, Now: now}, "web: pull (pull_policy: every_1h)"},
		"every three hours": {ImageSeen{Service: serviceOf(false, "every_3h"), Have: have,
			First: true, Now: now}, "web: keep"},
	} {
		got := ""
		st, err := DecideImage(c.seen)
		if got = st.String(); err != nil {
			text, remedy := container.Explain(err)
			got = text + "; " + remedy
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestPrepareRunsForAReason(t *testing.T) {
	plain, s := serviceOf(true, ""), serviceOf(true, "")
	s.Extra.Prepare = &project.Prepare{Run: "go build"}
	for name, c := range map[string]struct {
		seen PrepareSeen
		want string
	}{
		"none": {PrepareSeen{Service: plain, Asked: "saved", First: true}, "web: keep"},
		"asked for": {PrepareSeen{Service: s, Asked: "main.go saved", Ran: true},
			"web: prepare (main.go saved)"},
		"later":     {PrepareSeen{Service: s}, "web: keep"},
		"never ran": {PrepareSeen{Service: s, First: true}, "web: prepare (it has not run yet)"},
		"inputs": {PrepareSeen{Service: s, First: true, Ran: true, Changed: true},
			"web: prepare (what it watches changed)"},
		"output": {PrepareSeen{Service: s, First: true, Ran: true, Missing: "bin/web"},
			"web: prepare (bin/web is not there)"},
		"all as it was": {PrepareSeen{Service: s, First: true, Ran: true}, "web: keep"},
	} {
		if got := DecidePrepare(c.seen).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestChangedFilesAreCopiedAndThenActedUpon(t *testing.T) {
	conf := serviceOf(true, "")
	conf.Rules = []project.Rule{
		{Path: "/src", Action: project.Sync},
		{Path: "/conf", Action: project.SyncRestart},
		{Path: "/sql", Action: project.SyncExec, Exec: &types.ServiceHook{Command: []string{"migrate", "up"}}},
	}
	for name, c := range map[string]struct {
		lacks   []Lack
		restart bool
		action  string
		want    string
	}{
		"nothing": {lacks: []Lack{{Replica: 1}}},
		"one of two": {lacks: []Lack{{Replica: 1}, {Replica: 2, Differs: true,
			Rules: []int{0}}}, action: "sync", want: "#1 web/2: sync (saved)\n"},
		"then a restart": {lacks: []Lack{{Replica: 1, Differs: true, Rules: []int{0, 1, 2}}},
			action: "sync+restart", want: "#1 web/1: sync (saved)\n#2 web/1: restart (saved)\n"},
		"bound": {lacks: []Lack{{Replica: 1, Rules: []int{1}}}, action: "restart",
			want: "#1 web/1: restart (saved)\n"},
		"a rule of restart": {lacks: []Lack{{Replica: 1}, {Replica: 2}}, restart: true,
			action: "restart", want: "#1 web/1: restart (saved)\n#2 web/2: restart (saved)\n"},
		"a command, once": {lacks: []Lack{{Replica: 1, Differs: true, Rules: []int{2}},
			{Replica: 2, Rules: []int{2}}}, action: "sync+exec",
			want: "#1 web/1: sync (saved)\n#2 web: exec (migrate up)\n"},
		"a command, no copy": {lacks: []Lack{{Replica: 1, Rules: []int{2}}}, action: "sync+exec",
			want: "#1 web: exec (migrate up)\n"},
	} {
		p := DecideFiles(conf, c.lacks, c.restart, "saved")
		if p.String() != c.want || p.FilesAction() != c.action {
			t.Errorf("%s: %q\n%swant %q\n%s", name, p.FilesAction(), p, c.action, c.want)
		}
	}
}
