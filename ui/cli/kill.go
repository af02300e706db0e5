package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

type killVerb struct {
	app     *app
	signal  string
	orphans bool
}

func (v *killVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "kill [-s SIGNAL] [SERVICE…]",
		Short:             "Kill services, or send them a signal, and say who suffered",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			if err := checkSignal("kill", v.signal); err != nil {
				return err
			}
			a := &action{app: v.app,
				cmds: []engine.Command{{Verb: engine.VerbKill, Services: services, Signal: v.signal,
					Orphans: v.orphans}}}
			return a.run(cmd.Context())
		},
	}
	v.app.addTakeOver(c)
	c.Flags().StringVarP(&v.signal, "signal", "s", "SIGKILL", "`signal` to send, as SIGHUP, HUP or 1")
	c.Flags().BoolVar(&v.orphans, "remove-orphans", false,
		"also containers of services that the file does not name")
	return c
}

// settle is how long the others are looked at after a kill before its line is printed. It shows a
// crash that a lost connection brings on at once; what takes longer is what drills are for.
const settle = time.Second

// kill sends a signal, and then compares the others with what they were before. In the place of docker
// compose it only sends it: its scripts expect no word of that, and would wait for it.
func (x *action) kill(ctx context.Context) error {
	if x.dry() {
		return nil
	}
	all := &listing{conn: x.app.conn, env: x.app.env, name: x.name, p: x.p}
	before, err := all.rows(ctx)
	if err != nil {
		return err
	}
	beside, err := x.oneOffs(ctx)
	if err != nil {
		return err
	}
	if !x.aimed(before) && !beside {
		if err := x.app.checkHolder(ctx, x.name); err != nil {
			return x.named(x.cmds[0], err)
		}
		x.app.console.printError("no container to kill")
		return nil
	}
	if err := x.do(ctx); err != nil || x.app.asCompose {
		return err
	}
	sleep(ctx, settle)
	after, err := all.rows(ctx)
	if err != nil {
		return err
	}
	out := x.app.console.progressPrinter()
	out.text(compareRows(before, after, x.hit(before), x.cmds[0].Signal))
	return out.failed()
}

// aimed leaves out the services that were named and have nothing that takes a signal, as docker compose does, and says
// whether anything is left to kill.
func (x *action) aimed(rows []psRow) bool {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r psRow) bool { return !takesSignals(r) })
	cmd := &x.cmds[0]
	if len(cmd.Services) == 0 {
		return len(rows) > 0 || cmd.Orphans
	}
	cmd.Services = slices.DeleteFunc(slices.Clone(cmd.Services), func(name string) bool {
		return !slices.ContainsFunc(rows, func(r psRow) bool { return r.Service == name })
	})
	return len(cmd.Services) > 0
}

// oneOffs says whether the kill is also for one-offs that run: it is where it names no service.
func (x *action) oneOffs(ctx context.Context) (bool, error) {
	if len(x.services()) > 0 {
		return false, nil
	}
	list, err := container.Completed(x.app.conn.rt).OneOffs(ctx, x.name)
	return slices.ContainsFunc(list, func(in engine.Instance) bool { return in.State.TakesSignals() }), err
}

func takesSignals(r psRow) bool {
	return slices.ContainsFunc([]engine.State{engine.StateRunning, engine.StatePaused,
		engine.StateStopping}, func(s engine.State) bool {
		return s.String() == r.State
	})
}

// compareRows says who suffered from a fault, in the form of engine.Ledger.Verdict: all but the services
// that were hit are compared with what they were. Rows are what a running `up` answers with, and what can
// be known without one; a ledger is neither.
func compareRows(before, after []psRow, hit []string, fault string) string {
	var suffered []string
	untouched := 0
	for _, b := range before {
		if slices.Contains(hit, b.Service) || b.ExitCode != nil || b.StartedAt == nil {
			continue // what did not run before has nothing to lose
		}
		if what := harm(b, after); what != "" {
			suffered = append(suffered, replicaName(b.Service, b.Replica)+" "+what)
		} else {
			untouched++
		}
	}
	who := "no other service changed" // logs are not looked at here
	switch {
	case len(suffered) > 0:
		who = strings.Join(suffered, ", ")
	case untouched == 0:
		return fmt.Sprintf("%s: %s; no other service runs", strings.Join(hit, ", "), fault)
	}
	return fmt.Sprintf("%s: %s; %s; %d untouched (same container id, start time, restart count)",
		strings.Join(hit, ", "), fault, who, untouched)
}

// harm is what became of a replica that ran before, as in "was restarted"; "" where it is as it was.
func harm(before psRow, all []psRow) string {
	i := slices.IndexFunc(all, func(r psRow) bool {
		return r.Service == before.Service && r.Replica == before.Replica
	})
	if i < 0 {
		return "is gone"
	}
	now := all[i]
	// What lives in the namespace of a container that has ended runs on without its network.
	host := slices.IndexFunc(all, func(o psRow) bool {
		return slices.Contains(now.joins, o.ContainerID) && o.ExitCode != nil
	})
	switch {
	case host >= 0:
		return fmt.Sprintf("shares a namespace with %s, which is down", all[host].Service)
	case now.ContainerID != before.ContainerID:
		return "has another container"
	case now.ExitCode != nil:
		return fmt.Sprintf("exited %d", *now.ExitCode)
	case now.StartedAt == nil || *now.StartedAt != *before.StartedAt || now.Restarts != before.Restarts:
		return "was restarted"
	case now.Health == engine.Unhealthy.String() && before.Health != now.Health:
		return "became unhealthy"
	}
	return ""
}

// hit lists the services that the command is about: all where it names none.
func (x *action) hit(rows []psRow) []string {
	if named := x.services(); len(named) > 0 {
		return named
	}
	var all []string
	for _, r := range rows {
		if !slices.Contains(all, r.Service) {
			all = append(all, r.Service)
		}
	}
	return all
}
