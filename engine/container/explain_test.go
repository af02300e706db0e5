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
		"wrapped": {fmt.Errorf("up shop: %w", taken), "up shop: start web: port 80 is taken",
			"stop nginx; or publish another port"},
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
