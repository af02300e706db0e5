package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
)

type killVerb struct {
	app    *app
	signal string
}

func (v *killVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "kill [-s SIGNAL] SERVICE…",
		Short:             "Kill services, or send them a signal, and say who suffered",
		Args:              atLeast(1, "the names of services"),
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			a := &action{app: v.app, cmd: engine.Command{Verb: engine.VerbKill, Services: services, Signal: v.signal}}
			return a.run(cmd.Context())
		},
	}
	c.Flags().StringVarP(&v.signal, "signal", "s", "SIGKILL", "`signal` to send, as SIGHUP, HUP or 1")
	return c
}

// settle is how long the others are looked at after a kill before its line is printed. It shows a
// crash that a lost connection brings on at once; what takes longer is what drills are for.
const settle = time.Second

// kill sends a signal, and then compares the others with what they were before.
func (x *action) kill(ctx context.Context) error {
	all := &listing{conn: x.app.conn, env: x.app.env, name: x.name, p: x.p}
	before, err := all.rows(ctx)
	if err != nil {
		return err
	}
	if err := x.do(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	after, err := all.rows(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(x.app.console.stdout, compareRows(before, after, x.cmd.Services, x.cmd.Signal))
	return err
}

// hostless returns the service whose namespace a container shares and whose own container has
// ended, "" when there is none: what lives in it runs on without its network.
func hostless(r psRow, all []psRow) string {
	for _, o := range all {
		if slices.Contains(r.joins, o.ContainerID) && o.ExitCode != nil {
			return o.Service
		}
	}
	return ""
}

// compareRows says who suffered from a fault: everything but the services that were hit is compared with what it was.
func compareRows(before, after []psRow, hit []string, fault string) string {
	var suffered []string
	untouched := 0
	for _, b := range before {
		if slices.Contains(hit, b.Service) || b.ExitCode != nil || b.StartedAt == nil {
			continue // who did not run before has nothing to lose
		}
		name := replicaName(b.Service, b.Replica)
		i := slices.IndexFunc(after, func(r psRow) bool { return r.Service == b.Service && r.Replica == b.Replica })
		switch {
		case i < 0:
			suffered = append(suffered, name+" is gone")
		case hostless(after[i], after) != "":
			suffered = append(suffered, fmt.Sprintf("%s shares a namespace with %s, which is down", name, hostless(after[i], after)))
		case after[i].ContainerID != b.ContainerID:
			suffered = append(suffered, name+" has another container")
		case after[i].ExitCode != nil:
			suffered = append(suffered, fmt.Sprintf("%s exited %d", name, *after[i].ExitCode))
		case after[i].StartedAt == nil || *after[i].StartedAt != *b.StartedAt || after[i].Restarts != b.Restarts:
			suffered = append(suffered, name+" was restarted")
		case after[i].Health == engine.Unhealthy.String() && b.Health != after[i].Health:
			suffered = append(suffered, name+" became unhealthy")
		default:
			untouched++
		}
	}
	return faultText(strings.Join(hit, ", "), fault, suffered, untouched)
}
