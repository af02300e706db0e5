package container_test

import (
	"errors"
	"fmt"
	"testing"

	"bulkhead/engine/container"
)

func TestRemedyIsAFieldAndNotAPartOfASentence(t *testing.T) {
	taken := &container.Error{What: "start web", Why: "port 80 is taken",
		Remedy: "stop nginx; or publish another port"}
	build := &container.BuildError{Service: "web", Step: "RUN npm ci; npm test", Err: errors.New("exit code 1")}
	for name, c := range map[string]struct {
		err          error
		text, remedy string
	}{
		"none": {errors.New("a; b"), "a; b", ""},
		"own":  {taken, "start web: port 80 is taken", "stop nginx; or publish another port"},
		"wrapped": {&container.Error{What: "up shop", Err: taken}, "up shop: start web: port 80 is taken",
			"stop nginx; or publish another port"},
		"about": {&container.About{Service: "web", Words: "waits for db, but ", Err: taken},
			"web: waits for db, but start web: port 80 is taken", "stop nginx; or publish another port"},
		"alone":                       {errors.Join(taken, nil), "start web: port 80 is taken", "stop nginx; or publish another port"},
		"by name":                     {container.Naming("web", taken), "start web: port 80 is taken", "stop nginx; or publish another port"},
		"last":                        {container.Join(errors.New("a"), taken), "a; start web: port 80 is taken", "stop nginx; or publish another port"},
		"first":                       {container.Join(taken, errors.New("a")), taken.Error() + "; a", ""},
		"in words of another program": {fmt.Errorf("up shop: %w", taken), "up shop: " + taken.Error(), ""},
		"renamed": {container.WrapErr(advised{}, "copy into %s", "web"),
			"copy into web: read-only", "remove read_only"},
		"in the middle": {fmt.Errorf("%w, and more", taken), taken.Error() + ", and more", ""},
		"added": {container.WithRemedy(errors.New("no such image"), "run %q", "build"),
			"no such image", `run "build"`},
		"in a build step": {build, build.Error(), ""},
	} {
		if text, remedy := container.Explain(c.err); text != c.text || remedy != c.remedy {
			t.Errorf("%s: %q and %q, want %q and %q", name, text, remedy, c.text, c.remedy)
		}
	}
}

// advised is an error of a runtime with a remedy.
type advised struct{}

func (advised) Error() string      { return "put 4f2a: read-only; remove read_only" }
func (advised) Reason() string     { return "read-only" }
func (advised) Suggestion() string { return "remove read_only" }

func TestWhatWasDoneIsFoundInTheTree(t *testing.T) {
	failed := container.WithRemedy(container.Failed("stop web", "it is %s", "paused"), "unpause it")
	if got := container.What(fmt.Errorf("shop: %w", failed)); got != "stop web" {
		t.Errorf("got %q", got)
	}
	if got := container.What(errors.New("stop web: no")); got != "" {
		t.Errorf("a text says %q", got)
	}
	if failed.Error() != "stop web: it is paused; unpause it" {
		t.Error(failed)
	}
}

func TestWhoseAnErrorIsIsAField(t *testing.T) {
	gone := errors.New("no such image")
	for text, c := range map[string]struct {
		err    error
		named  bool
		beside string
	}{
		"web has none":            {errors.New("web has none"), false, "web has none"},
		"stop web: it is paused":  {container.FailedTo("stop", "web", "it is paused"), true, "stop web: it is paused"},
		"create web: no":          {container.WrapErr(errors.New("no"), "create %s", "web"), true, "create web: no"},
		"web: no such image":      {&container.About{Service: "web", Err: gone}, true, "no such image"},
		"build web: RUN x: no":    {&container.BuildError{Service: "web", Step: "RUN x", Err: errors.New("no")}, true, "RUN x: no"},
		"build web: in time":      {&container.About{Verb: "build", Service: "web", Err: errors.New("in time")}, true, "in time"},
		"look for image web: no":  {container.WrapErr(errors.New("no"), "look for image %s", "shop-web"), false, ""},
		"web is late":             {container.Naming("web", errors.New("web is late")), true, "web is late"},
		"network x; create web: ": {container.Join(errors.New("network x"), container.Naming("web", errors.New("create web: "))), true, ""},
	} {
		if got := container.Names(c.err, "web"); got != c.named {
			t.Errorf("%s: named: %v", text, got)
		}
		if got := container.WithoutService(c.err).Error(); c.beside != "" && (got != c.beside || c.err.Error() != text) {
			t.Errorf("%s: beside its name: %q", c.err, got)
		}
	}
}
