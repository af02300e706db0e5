package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

type volumesVerb struct {
	target
	quiet  bool
	format string
}

func (v *volumesVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "volumes [SERVICE…]",
		Short:             "List the project's volumes, or those that services use",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	c.Flags().BoolVarP(&v.quiet, "quiet", "q", false, "names only")
	c.Flags().StringVar(&v.format, "format", "table", formatHelp)
	return c
}

func (v *volumesVerb) run(ctx context.Context, services []string) error {
	name, err := v.app.reachProject(ctx, services)
	if err != nil {
		return err
	}
	var list []container.Volume
	err = v.app.conn.supervised(ctx, name, func(ctx context.Context) (err error) {
		list, err = v.list(ctx, name, services)
		return err
	})
	if err != nil {
		return err
	}
	if v.quiet {
		return printEach(v.app.console.stdout, list, func(x container.Volume) string { return x.Name })
	}
	format := v.format
	switch format {
	case "table":
		format = "table {{.Driver}}\t{{.Name}}"
	case "raw":
		format = `name: {{.Name}}\ndriver: {{.Driver}}\n`
	}
	rows := make([]*volumeView, len(list))
	for i := range list {
		rows[i] = &volumeView{list[i]}
	}
	return writeFormat(v.app.console.stdout, format, volumeHeaders, rows)
}

// list returns the volumes of the project; with services those that their containers mount.
func (v *volumesVerb) list(ctx context.Context, project string, services []string) ([]container.Volume, error) {
	lister, err := capability[container.VolumeLister](v.app.conn.rt, "list volumes")
	if err != nil {
		return nil, err
	}
	list, err := lister.Volumes(ctx, project)
	if err != nil || len(services) == 0 {
		return logs.CleanAll(list), err
	}
	containers, err := summaries(ctx, v.app.conn.rt, container.ListOptions{Project: project,
		OneOffs: true, Helpers: true})
	if err != nil {
		return nil, err
	}
	mounted := func(x container.Volume) bool {
		return slices.ContainsFunc(containers, func(s container.Summary) bool {
			return slices.Contains(services, s.Service) && slices.Contains(s.Volumes, x.Name)
		})
	}
	return logs.CleanAll(slices.DeleteFunc(list, func(x container.Volume) bool { return !mounted(x) })), nil
}

var volumeHeaders = headers{
	"ID": "ID", "Name": "VOLUME NAME", "Group": "GROUP", "Driver": "DRIVER", "Scope": "SCOPE",
	"Availability": "AVAILABILITY",
	"Mountpoint":   "MOUNTPOINT", "Labels": "LABELS", "Links": "LINKS", "Size": "SIZE", "Status": "STATUS",
}

// volumeView is one volume in a template. Its methods are the fields of the docker command's.
type volumeView struct{ v container.Volume }

func (x *volumeView) MarshalJSON() ([]byte, error) { return methodsJSON(x) }
func (x *volumeView) Name() string                 { return x.v.Name }
func (x *volumeView) Driver() string               { return x.v.Driver }
func (x *volumeView) Scope() string                { return x.v.Scope }
func (x *volumeView) Mountpoint() string           { return x.v.Mountpoint }
func (x *volumeView) Label(name string) string     { return x.v.Labels[name] }

func (x *volumeView) Labels() string {
	return strings.Join(sortedPairs(x.v.Labels), ",")
}

func (x *volumeView) Links() string {
	if x.v.Links < 0 {
		return "N/A"
	}
	return strconv.FormatInt(x.v.Links, 10)
}

func (x *volumeView) Size() string {
	if x.v.Size < 0 {
		return "N/A"
	}
	return units.HumanSize(float64(x.v.Size))
}

// What follows is of volumes of a swarm, which no project has.

func (x *volumeView) Group() string        { return "N/A" }
func (x *volumeView) Availability() string { return "N/A" }
func (x *volumeView) Status() string       { return "N/A" }
