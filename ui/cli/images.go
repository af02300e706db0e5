package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

type imagesVerb struct {
	target
	format string
	quiet  bool
}

// imageRow is one line of images; its JSON has docker compose's keys.
type imageRow struct {
	ID            string
	ContainerName string
	Repository    string
	Tag           string
	Platform      string
	Size          int64
	Created       *time.Time `json:",omitempty"`
	LastTagTime   time.Time  `json:",omitzero"`
}

func (v *imagesVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "images [SERVICE…]",
		Short:             "List the images that the containers were made from",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	c.Flags().StringVar(&v.format, "format", "table", "`how` to print: table or json")
	c.Flags().BoolVarP(&v.quiet, "quiet", "q", false, "ids only")
	completeWords(c, "format", "table", "json")
	return c
}

func (v *imagesVerb) run(ctx context.Context, services []string) error {
	name, err := v.project(ctx)
	if err != nil {
		return err
	}
	var rows []imageRow
	err = v.app.conn.supervised(ctx, name, func(ctx context.Context) (err error) {
		rows, err = v.rows(ctx, name, services)
		return err
	})
	if err != nil {
		return err
	}
	out := v.app.console.stdout
	if v.quiet {
		return printEach(out, rows, func(r imageRow) string {
			if _, id, ok := strings.Cut(r.ID, ":"); ok {
				return id
			}
			return r.ID
		})
	}
	if strings.EqualFold(v.format, "json") {
		b, err := plainJSON(rows, "")
		if err == nil {
			_, err = fmt.Fprintf(out, "%s\n", escaped(b))
		}
		return err
	}
	return writeList(out, v.format, false, []string{"CONTAINER", "REPOSITORY", "TAG", "PLATFORM",
		"IMAGE ID", "SIZE", "CREATED"}, rows, func(r imageRow) []any {
		created := "N/A"
		if r.Created != nil {
			created = units.HumanDuration(time.Since(*r.Created)) + " ago"
		}
		return []any{r.ContainerName, orNone(r.Repository), orNone(r.Tag), r.Platform, container.ShortID(r.ID),
			units.HumanSizeWithPrecision(float64(r.Size), 3), created}
	})
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

// rows looks every image up, in the order of the containers' names.
func (v *imagesVerb) rows(ctx context.Context, project string, services []string) ([]imageRow, error) {
	list, err := containersOf(ctx, v.app.conn.rt, container.ListOptions{Project: project, All: true,
		OneOffs: true, Helpers: true}, services)
	if err != nil {
		return nil, err
	}
	images, err := capability[container.ImageStore](v.app.conn.rt, "look up images")
	if err != nil {
		return nil, err
	}
	rows := make([]imageRow, len(list))
	err = concurrently(ctx, len(list), 8, func(ctx context.Context, i int) (err error) {
		rows[i], err = imageOf(ctx, images, list[i])
		return err
	})
	return logs.CleanAll(rows), err
}

// imageOf describes the image of a container. One that is gone is known by what the container says of it.
func imageOf(ctx context.Context, images container.ImageStore, s container.Summary) (imageRow, error) {
	row := imageRow{ID: s.ImageID, ContainerName: s.Name, Platform: platforms.Format(platforms.Platform{})}
	if _, err := digest.Parse(s.Image); err != nil { // an id stands there when the tag has moved on
		if ref, err := reference.ParseDockerRef(s.Image); err == nil {
			row.Repository = reference.FamiliarName(ref)
			if t, ok := ref.(reference.Tagged); ok {
				row.Tag = t.Tag()
			}
		}
	}
	img, err := images.Image(ctx, s.Image, "")
	if errors.Is(err, engine.ErrNotFound) {
		return row, nil
	}
	if err != nil {
		return row, err
	}
	row.ID, row.Size, row.LastTagTime = img.ID, img.Size, img.LastTag
	row.Platform = platforms.Format(platforms.Platform{OS: img.OS, Architecture: img.Arch,
		Variant: img.Variant})
	if !img.Created.IsZero() {
		row.Created = &img.Created
	}
	return row, nil
}
