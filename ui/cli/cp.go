package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/go-archive"
	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

type cpVerb struct {
	target
	oneOffToo, follow, owners bool
}

func (v *cpVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "cp SERVICE:PATH PATH|- | PATH|- SERVICE:PATH",
		Short: "Copy files between a service's containers and this machine",
		Long: `Copy a file or a folder out of a service's container, or into all of its containers; - is a tar archive on stdin or
stdout. A path that ends with /. stands for what is in a folder. The containers need not run.`,
		Args:              between(2, 2, "a path to copy and one to copy it to"),
		ValidArgsFunction: v.app.loader.completeCopy,
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.run(cmd.Context(), args[0], args[1])
		},
	}
	v.addIndex(c)
	c.Flags().BoolVar(&v.oneOffToo, "all", false, "the containers of run, too")
	c.Flags().BoolVarP(&v.follow, "follow-link", "L", false, "copy what a link leads to, where the path is one")
	c.Flags().BoolVarP(&v.owners, "archive", "a", false, "keep users and groups")
	return c
}

// serviceAndPath splits an argument at its colon. A path of this machine that has one begins with . or /.
func serviceAndPath(arg string) (service, path string) {
	service, path, ok := strings.Cut(arg, ":")
	if !ok || filepath.IsAbs(arg) || strings.HasPrefix(arg, string(filepath.Separator)) ||
		strings.HasPrefix(service, ".") {
		return "", arg
	}
	return service, path
}

func (v *cpVerb) run(ctx context.Context, from, to string) error {
	fromService, fromPath := serviceAndPath(from)
	toService, toPath := serviceAndPath(to)
	switch {
	case fromPath == "" || toPath == "":
		return usagef("cp: a path is empty; write one after the colon")
	case fromService != "" && toService != "":
		return usagef("cp: copying between services is not supported; copy to this machine first")
	case fromService == "" && toService == "":
		return usagef("cp: neither path is a service's; write SERVICE:PATH for one of them")
	}
	v.service, v.all, v.oneOffs = fromService+toService, true, v.oneOffToo
	name, err := v.project(ctx)
	if err != nil {
		return err
	}
	list, err := v.list(ctx, name)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("cp: service %s has no container; `bulkhead up -d %s` makes one", v.service,
			v.service)
	}
	files, err := capability[container.Archiver](v.app.conn.rt, "copy files")
	if err != nil {
		return err
	}
	c := &copying{v: v, files: files}
	if fromService != "" {
		if v.app.would("copy %s:%s to %s", list[0].Name, fromPath, toPath) {
			return nil
		}
		if err := c.out(ctx, list[0].ID, fromPath, toPath); err != nil {
			return container.WrapErr(err, "cp %s %s", from, to)
		}
		return nil
	}
	if from == "-" {
		done, err := c.keepStdin(len(list))
		if err != nil {
			return fmt.Errorf("cp - %s: read standard input: %w", to, err)
		}
		defer done()
	}
	var errs []error
	for _, s := range list {
		if v.app.would("copy %s to %s:%s", fromPath, s.Name, toPath) {
			continue
		}
		if err := c.in(ctx, s.ID, fromPath, toPath); err != nil {
			errs = append(errs, container.WrapErr(err, "cp %s %s:%s", from, s.Name, toPath))
		}
	}
	return errors.Join(errs...)
}

// copying is one cp on its way.
type copying struct {
	v     *cpVerb
	files container.Archiver
	stdin func() io.Reader // of a copy from "-": what stands there, from its beginning
}

// keepStdin makes stdin readable as often as it has to be: what goes to one container is passed on as it
// comes, and what goes to more is kept in a file meanwhile. done removes it.
func (c *copying) keepStdin(times int) (done func(), err error) {
	if times == 1 || c.v.app.loader.flags.dryRun {
		c.stdin = func() io.Reader { return c.v.app.console.stdin }
		return func() {}, nil
	}
	f, err := os.CreateTemp("", "bulkhead-cp-")
	if err != nil {
		return nil, err
	}
	done = func() { _, _ = f.Close(), os.Remove(f.Name()) } // it is of no use any more
	size, err := io.Copy(f, c.v.app.console.stdin)
	if err != nil {
		done()
		return nil, err
	}
	c.stdin = func() io.Reader { return io.NewSectionReader(f, 0, size) }
	return done, nil
}

// local is a path of this machine, absolute, with what its end says kept.
func local(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return archive.PreserveTrailingDotOrSeparator(abs, path), nil
}

// linked follows a link of a container one step.
func linked(path, link string) string {
	if filepath.IsAbs(link) || strings.HasPrefix(link, "/") {
		return link
	}
	parent, _ := archive.SplitPathDirEntry(path)
	return filepath.Join(parent, link)
}

// out copies from a container to this machine.
func (c *copying) out(ctx context.Context, id, from, to string) error {
	var err error
	if to != "-" {
		if to, err = local(to); err != nil {
			return err
		}
	}
	rename := ""
	if c.v.follow {
		if e, err := c.files.Entry(ctx, id, from); err == nil && e.Mode&fs.ModeSymlink != 0 {
			from, rename = archive.GetRebaseName(from, linked(from, e.Link))
		}
	}
	tar, entry, err := c.files.CopyFrom(ctx, id, from)
	if err != nil {
		return err
	}
	defer tar.Close()
	if to == "-" {
		_, err := io.Copy(unguarded(c.v.app.console.stdout), tar) // an archive, not text
		return err
	}
	info := archive.CopyInfo{Path: from, Exists: true, IsDir: entry.Mode.IsDir(), RebaseName: rename}
	var stream io.ReadCloser = tar
	if rename != "" {
		_, base := archive.SplitPathDirEntry(from)
		stream = archive.RebaseArchiveEntries(tar, base, rename)
		defer stream.Close()
	}
	return place(stream, info, to)
}

// place unpacks what was copied out of a container. A single file is unpacked beside its place, and gets it when
// it is whole: what was there before stays when the disk is full, or the archive breaks off.
func place(content io.Reader, info archive.CopyInfo, to string) error {
	at, err := archive.CopyInfoDestinationPath(to)
	asFolder := strings.HasSuffix(to, string(filepath.Separator)) || filepath.Base(to) == "."
	if err != nil || info.IsDir || !at.Exists && asFolder {
		return archive.CopyTo(content, info, to)
	}
	final := at.Path
	if at.IsDir {
		_, base := archive.SplitPathDirEntry(info.Path)
		final = filepath.Join(at.Path, cmp.Or(info.RebaseName, base))
	}
	if there, err := os.Lstat(final); err == nil && !there.Mode().IsRegular() {
		return archive.CopyTo(content, info, to)
	}
	beside, err := os.MkdirTemp(filepath.Dir(final), ".bulkhead-cp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(beside) // nothing of worth is left in it
	whole := filepath.Join(beside, filepath.Base(final))
	if err := archive.CopyTo(content, info, whole); err != nil {
		return err
	}
	return os.Rename(whole, final)
}

// in copies from this machine into a container.
func (c *copying) in(ctx context.Context, id, from, to string) error {
	info := archive.CopyInfo{Path: to}
	entry, err := c.files.Entry(ctx, id, to)
	if err == nil && entry.Mode&fs.ModeSymlink != 0 {
		info.Path = linked(to, entry.Link)
		entry, err = c.files.Entry(ctx, id, info.Path)
	}
	if err == nil {
		if !entry.Mode.IsDir() && !entry.Mode.IsRegular() {
			return fmt.Errorf("%s is neither a folder nor a file", to)
		}
		info.Exists, info.IsDir = true, entry.Mode.IsDir()
	}
	if from == "-" {
		if !info.IsDir {
			return fmt.Errorf("%s is not a folder; an archive is unpacked in one", to)
		}
		return c.files.CopyInto(ctx, id, info.Path, c.stdin(), c.v.owners)
	}
	if from, err = local(from); err != nil {
		return err
	}
	source, err := archive.CopyInfoSourcePath(from, c.v.follow)
	if err != nil {
		return err
	}
	tar, err := archive.TarResource(source)
	if err != nil {
		return err
	}
	defer tar.Close()
	dir, content, err := archive.PrepareArchiveCopy(tar, source, info)
	if err != nil {
		return err
	}
	defer content.Close()
	return c.files.CopyInto(ctx, id, dir, content, c.v.owners)
}

// completeCopy completes services with a colon, and files.
func (l *loader) completeCopy(
	cmd *cobra.Command, args []string, typed string,
) ([]string, cobra.ShellCompDirective) {
	names, _ := l.completeServices(cmd, nil, typed)
	names = slices.Clone(names)
	for i := range names {
		names[i] += ":"
	}
	return names, cobra.ShellCompDirectiveNoSpace
}

// writable says whether a file can be written to a path: its folder is there, and it is not one itself.
func writable(path string) error {
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("%s: its folder is not there", path)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder; name a file", path)
	}
	return nil
}
