package project

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

func TestDefaultRuleLeavesBindMountsAlone(t *testing.T) {
	s := &Service{Name: "a", Built: true, Rules: []Rule{{Action: Rebuild, Path: "/p", Default: true},
		{Action: Sync, Path: "/p/src", Target: "/app"}}}
	s.Config.Build = &types.BuildConfig{Context: "/p"}
	s.Config.Volumes = []types.ServiceVolumeConfig{{Type: "bind", Source: "/p/src", Target: "/app"},
		{Type: "volume", Source: "/p/named", Target: "/named"}}
	for _, tt := range []struct {
		path                 string
		bound, first, second bool
	}{
		{"/p/src/app.py", true, false, true},
		{"/p/src", true, false, true},
		{"/p/srcs", false, true, false},
		{"/p/named/x", false, true, false},
		{"/p/requirements.txt", false, true, false},
		{"/p/src/Dockerfile", true, true, true},
		{"/elsewhere", false, false, false},
	} {
		if got := s.Bound(tt.path); got != tt.bound {
			t.Errorf("%s is bound: %v", tt.path, got)
		}
		if first, second := s.Claims(&s.Rules[0], tt.path),
			s.Claims(&s.Rules[1], tt.path); first != tt.first || second != tt.second {
			t.Errorf("%s is the rules': %v and %v, want %v and %v", tt.path, first, second, tt.first, tt.second)
		}
	}
	if !s.Syncs() || (&Service{Rules: s.Rules[:1]}).Syncs() {
		t.Error("which service syncs")
	}
}

func TestDockerfileOfAService(t *testing.T) {
	for file, want := range map[string]string{"": "/p/Dockerfile",
		"dev.Dockerfile": "/p/dev.Dockerfile", "/q/Dockerfile": "/q/Dockerfile"} {
		s := &Service{}
		s.Config.Build = &types.BuildConfig{Context: "/p", Dockerfile: file}
		if got := s.Dockerfile(); got != want {
			t.Errorf("dockerfile %q is at %s, want %s", file, got, want)
		}
	}
	if got := (&Service{}).Dockerfile(); got != "" {
		t.Errorf("a service without build has the Dockerfile %s", got)
	}
}
