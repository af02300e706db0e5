package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// answer is a control socket that answers everything with one text.
type answer string

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusUnprocessableEntity,
		Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}

func TestErrorNamesTheCommandOnce(t *testing.T) {
	remote := func(text string) error {
		c := &client{http: &http.Client{Transport: answer(text)}}
		_, err := c.do(t.Context(), engine.Command{Verb: engine.VerbStop})
		return err
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{container.Failed("stop web", "it is paused"), "stop web: it is paused"},
		{fmt.Errorf("shop: %w", container.Failed("stop web", "no")), "shop: stop web: no"},
		{errors.New("stopwatch is no service"), "stop web: stopwatch is no service"},
		{remote(`{"error": "stop web: it is paused", "named": true}`), "stop web: it is paused"},
		{remote(`{"error": "stopwatch is no service"}`), "stop web: stopwatch is no service"},
	} {
		x, cmd := &action{name: "shop"}, engine.Command{Verb: engine.VerbStop, Services: []string{"web"}}
		if got := x.named(cmd, c.err); got.Error() != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestDoctorShowsARemedyOnlyWhereThereIsOne(t *testing.T) {
	const general = "start Docker, or point DOCKER_HOST or `docker context use` at an engine"
	for _, c := range []struct {
		err          error
		text, remedy string
	}{
		{errors.New("RUN npm ci; npm test"), "RUN npm ci; npm test", general},
		{container.WithRemedy(engine.ErrNoEngine, "start it"), "no engine answers", "start it"},
		{&silentError{where: "unix:///s"},
			"no engine answers: unix:///s takes connections and does not answer",
			"restart it, or set DOCKER_HOST"},
	} {
		if f := engineFindings(engine.Info{}, c.err)[0]; f.text != c.text || f.remedy != c.remedy {
			t.Errorf("%v: %q and %q", c.err, f.text, f.remedy)
		}
	}
	load := &project.LoadError{Problem: "web: a; b", Remedy: "write c; d"}
	if text, remedy := container.Explain(load); text != "web: a; b" || remedy != "write c; d" {
		t.Errorf("%q and %q", text, remedy)
	}
}

func TestDependentsIsOffWhenItSaysSo(t *testing.T) {
	v := &serviceVerb{app: newApp(Parts{}), verb: engine.VerbRestart, stops: true, follows: true}
	c := v.command()
	if err := c.ParseFlags([]string{"--dependents=false", "-t", "3"}); err != nil {
		t.Fatal(err)
	}
	if grace := v.grace.value(c); v.dependents || grace == nil || grace.Seconds() != 3 {
		t.Errorf("dependents %t, grace %v", v.dependents, grace)
	}
	if grace := v.grace.value(v.command()); grace != nil {
		t.Errorf("a grace that nobody asked for: %s", grace)
	}
}
