package lane

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/command"
	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
)

// A provider service is a program on this machine in the place of a container: the lane has it
// carry out up, stop and down, and what it says goes into the environment of those that depend on
// it.

// provide has the provider of a service bring up what it stands for.
func (l *worker) provide(ctx context.Context, t *Task, k *state.Timing) (changed bool, err error) {
	if l.m.Provided() != nil && (t.Verb == command.Up || t.Verb == command.Start || t.Verb == command.Scale) {
		return false, nil
	}
	if err := l.waits().dependencies(ctx); err != nil {
		return false, err
	}
	var vars hostcmd.Variables
	err = k.Time("start", func() (err error) { vars, err = l.runProvider(ctx, "up", t.Cause); return err })
	if err != nil {
		return false, err
	}
	l.m.SetProvided(&vars)
	if t.First {
		return true, nil
	}
	for name, o := range l.p.State.View().Services {
		if _, ok := o.Conf.DependsOn[l.name]; !ok || !o.Settled || o.ByHand || o.Leaving {
			continue
		}
		if o := l.p.Lanes.Of(name); o != nil {
			o.Enqueue(NewTask(Task{Verb: Renew, Cause: l.name + " was provided again"}))
		}
	}
	return true, nil
}

// withdraw has the provider stop, or take down, what it stands for.
func (l *worker) withdraw(ctx context.Context, t *Task) error {
	verb := "stop"
	if t.Verb == command.Down {
		verb = "down"
	}
	if l.m.Provided() == nil && verb == "stop" && !l.p.Trust.Allows(termsOf(l.conf, "provider")) {
		return nil // it never ran
	}
	if _, err := l.runProvider(ctx, verb, t.Cause); err != nil {
		return err
	}
	l.m.SetProvided(nil)
	return nil
}

// runProvider runs the program once, with what it says in the builds.
func (l *worker) runProvider(ctx context.Context, verb, cause string) (hostcmd.Variables, error) {
	e, conf := l.p, l.conf
	p := &hostcmd.Provider{Type: conf.Config.Provider.Type, Project: e.Name, Service: l.name,
		Options: conf.Config.Provider.Options,
		Dir:     e.Dir, Terms: termsOf(conf, "provider"), Config: conf.Config}
	env := e.State.Project().Compose.Environment
	for _, key := range slices.Sorted(maps.Keys(env)) {
		p.Env = append(p.Env, key+"="+env[key])
	}
	if err := e.Trust.Check(p.Terms); err != nil {
		return hostcmd.Variables{}, container.WrapErr(err, "%s %s", verb, l.name)
	}
	row := e.State.Builds.Begin(state.Build{
		Services: []string{l.name}, Kind: "provider", Image: p.Type + " " + verb, Cause: cause,
	})
	vars, err := p.Do(ctx, e.Trust, verb, row.Output)
	canceled := context.Cause(ctx)
	if err != nil && canceled == nil {
		err = container.WrapErr(err, "%s %s", verb, l.name)
	}
	row.Close(err, canceled)
	return vars, err
}

// takeProvided waits for the providers that a service depends on, and puts what they say into its
// environment.
func (l *worker) takeProvided(ctx context.Context) error {
	providers := ProvidersOf(l.p.State.Project(), l.conf)
	if len(providers) == 0 {
		return nil
	}
	if err := l.waits().those(ctx, func(d *condition.Service) bool { return d.Conf.Provided() }); err != nil {
		return err
	}
	vars := map[string]string{}
	for _, name := range providers {
		d := l.p.State.Member(name)
		if d == nil || d.Provided() == nil {
			continue // it is not required, or held down
		}
		provided := d.Provided()
		for key, value := range provided.Prefixed {
			vars[strings.ToUpper(name)+"_"+key] = value
		}
		maps.Copy(vars, provided.Raw)
	}
	if len(vars) == 0 {
		return nil
	}
	conf := *l.conf
	conf.Config.Environment = withVariables(conf.Config.Environment, vars)
	conf.Bare.Environment = withVariables(conf.Bare.Environment, vars)
	var err error
	if conf.Hash, err = project.ServiceHash(conf.Bare); err != nil {
		return container.Naming(l.name, fmt.Errorf("create %s: %w", l.name, err))
	}
	l.conf = &conf
	l.m.SetConf(&conf)
	return nil
}

func withVariables(env types.MappingWithEquals, vars map[string]string) types.MappingWithEquals {
	out := maps.Clone(env)
	if out == nil {
		out = types.MappingWithEquals{}
	}
	for key, value := range vars {
		out[key] = &value
	}
	return out
}

// ProvidersOf names the providers that a service depends on, sorted.
func ProvidersOf(p *project.Project, conf *project.Service) []string {
	var names []string
	for name := range conf.DependsOn {
		if d := p.Service(name); d != nil && d.Provided() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
