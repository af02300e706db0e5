package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

// statsPause is between two readings of stats that goes on. The engine takes a second for each.
const statsPause = time.Second

type statsVerb struct {
	target
	allContainers, noStream, noTrunc, allProjects, aggregate bool
	format                                                   string
}

func (v *statsVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "stats [SERVICE]",
		Short:             "Print what containers use of CPU, memory, network and disks, again and again",
		Args:              between(0, 1, "one service or none"),
		ValidArgsFunction: v.app.loader.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				v.service = args[0]
			}
			return v.run(cmd.Context())
		},
	}
	fs := c.Flags()
	fs.BoolVarP(&v.allContainers, "all", "a", false, "those that do not run, too")
	fs.StringVar(&v.format, "format", "", formatHelp)
	fs.BoolVar(&v.noStream, "no-stream", false, "print once, and end")
	fs.BoolVar(&v.noTrunc, "no-trunc", false, "nothing cut short")
	fs.BoolVar(&v.allProjects, "all-projects", false, "the containers of all projects")
	fs.BoolVar(&v.aggregate, "aggregate", false, "one line for each project, the sum of its containers")
	return c
}

// statsReading is what one container uses; use is zero where it cannot be read.
type statsReading struct {
	s     container.Summary
	use   container.Sample
	known bool
}

func (v *statsVerb) run(ctx context.Context) error {
	projects := v.allProjects || v.aggregate
	switch {
	case projects && v.service != "":
		return usagef("stats: --all-projects and --aggregate are of whole projects; leave %s out", v.service)
	case v.allProjects && v.app.loader.flags.name != "":
		return usagef("stats: --all-projects and --project-name exclude each other; leave one out")
	}
	name := ""
	if v.allProjects {
		if err := v.app.conn.reach(ctx); err != nil {
			return err
		}
	} else {
		var err error
		if name, err = v.project(ctx); err != nil {
			return err
		}
	}
	show := v.containers
	if projects {
		show = v.projects
	}
	if err := show(io.Discard, nil); err != nil { // a format that is none is said before anything is read
		return err
	}
	// What is printed is clean; what clears the screen must get through.
	out := unguarded(v.app.console.stdout)
	_, screen := terminal(out)
	for {
		readings, err := v.read(ctx, name)
		if err != nil {
			return err
		}
		var page bytes.Buffer
		if screen && !v.noStream {
			page.WriteString("\x1b[H\x1b[J")
		}
		if err := show(&page, readings); err != nil {
			return err
		}
		if _, err := out.Write(page.Bytes()); err != nil || v.noStream {
			return err
		}
		if !sleep(ctx, statsPause) {
			return nil // ctrl+c is how it ends
		}
	}
}

// read takes a reading of each container.
func (v *statsVerb) read(ctx context.Context, project string) ([]statsReading, error) {
	var services []string
	if v.service != "" {
		services = []string{v.service}
	}
	list, err := containersOf(ctx, v.app.conn.rt, container.ListOptions{Project: project,
		All: v.allContainers, OneOffs: true, Helpers: true}, services)
	if err != nil {
		return nil, err
	}
	sampler, err := capability[container.Sampler](v.app.conn.rt, "read what containers use")
	if err != nil {
		return nil, err
	}
	all := make([]statsReading, len(list))
	err = concurrently(ctx, len(list), 32, func(ctx context.Context, i int) error {
		all[i].s = list[i]
		if list[i].State == "running" {
			// One that cannot be read, because it is gone, is shown without its use.
			use, err := sampler.Sample(ctx, list[i].ID)
			all[i].use, all[i].known = use, err == nil
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, ctx.Err()
}

// containers prints a line for each container, as docker stats does.
func (v *statsVerb) containers(w io.Writer, all []statsReading) error {
	format := cmp.Or(v.format, v.app.env.dockerSettings().StatsFormat, "table")
	if format == "table" {
		format = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
	}
	rows := make([]*statsView, len(all))
	for i, r := range all {
		rows[i] = &statsView{r: r, trunc: !v.noTrunc}
	}
	if len(rows) == 0 && v.noStream {
		return nil
	}
	return writeFormat(w, format, statsHeaders, rows)
}

var statsHeaders = headers{
	"Container": "CONTAINER", "Name": "NAME", "ID": "CONTAINER ID", "CPUPerc": "CPU %",
	"MemUsage": "MEM USAGE / LIMIT", "MemPerc": "MEM %",
	"NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS",
}

// statsView is one container in a template of stats. Its methods are the fields of docker stats.
type statsView struct {
	r     statsReading
	trunc bool
}

func (x *statsView) MarshalJSON() ([]byte, error) { return methodsJSON(x) }
func (x *statsView) Container() string            { return x.r.s.ID }
func (x *statsView) Name() string                 { return x.r.s.Name }

func (x *statsView) ID() string {
	if x.trunc {
		return container.ShortID(x.r.s.ID)
	}
	return x.r.s.ID
}

func (x *statsView) known(text string) string {
	if !x.r.known {
		return "--"
	}
	return text
}

func (x *statsView) CPUPerc() string { return x.known(percent(x.r.use.CPU)) }
func (x *statsView) MemPerc() string { return x.known(percent(memPercent(x.r.use))) }

func (x *statsView) MemUsage() string {
	if !x.r.known {
		return "-- / --"
	}
	return units.BytesSize(x.r.use.Mem) + " / " + units.BytesSize(x.r.use.MemLimit)
}

func (x *statsView) NetIO() string   { return x.known(inOut(x.r.use.NetRx, x.r.use.NetTx)) }
func (x *statsView) BlockIO() string { return x.known(inOut(x.r.use.BlkRead, x.r.use.BlkWrite)) }
func (x *statsView) PIDs() string    { return x.known(strconv.FormatUint(x.r.use.Processes, 10)) }

func percent(f float64) string { return fmt.Sprintf("%.2f%%", f) }

func memPercent(u container.Sample) float64 {
	if u.MemLimit == 0 {
		return 0
	}
	return u.Mem / u.MemLimit * 100
}

func inOut(in, out float64) string {
	return units.HumanSizeWithPrecision(in, 3) + " / " + units.HumanSizeWithPrecision(out, 3)
}
