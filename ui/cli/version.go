package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

type versionVerb struct {
	app    *app
	format string
	short  bool
}

func (v *versionVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version and the revision",
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return v.run() },
	}
	// -f of version is --format, as docker compose has it; --file has its long name only here.
	v.app.loader.flags.addFile(c.Flags(), "")
	c.Flags().StringVarP(&v.format, "format", "f", "", "`how` to print: pretty or json")
	c.Flags().BoolVar(&v.short, "short", false, "the version alone")
	completeWords(c, "format", "pretty", "json")
	return c
}

// composeVersion is the release of docker compose whose verbs, flags and config hashes are the ones here.
const composeVersion = "5.7.0"

func (v *versionVerb) run() error {
	out, b := v.app.console.stdout, readBuild()
	var err error
	switch {
	case v.app.asCompose:
		_, err = fmt.Fprintln(out, v.asCompose())
	case v.short:
		_, err = fmt.Fprintln(out, strings.TrimPrefix(b.Version, "v"))
	case v.format == "json":
		_, err = fmt.Fprintf(out, "%s\n", encode(b))
	case v.format == "" || v.format == "pretty":
		_, err = fmt.Fprintln(out, b)
	default:
		err = usagef("version: --format %s: write pretty or json", v.format)
	}
	return err
}

// asCompose is what docker compose prints: programs that call it ask for that before all else.
func (v *versionVerb) asCompose() string {
	switch {
	case v.short:
		return composeVersion
	case v.format == "json":
		return string(encode(map[string]string{"version": "v" + composeVersion}))
	}
	return "Docker Compose version v" + composeVersion
}

// revision is set by the linker, for builds that the go command does not stamp: a short hash, with
// -dirty where the sources had changes.
var revision string

// build is what this program was built from.
type build struct {
	Version  string `json:"version"`  // "(devel)" where it is not known
	Revision string `json:"revision"` // of the sources; "" where it is not known
	Modified bool   `json:"modified"` // they had changes
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = cmp.Or(info.Main.Version, b.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	if b.Revision == "" {
		b.Revision, b.Modified = strings.CutSuffix(revision, "-dirty")
	}
	return b
}

// String is the line that --version prints.
func (b build) String() string {
	text := "bulkhead " + b.Version
	// A version that the go command makes up of a commit names it already.
	if short := b.Revision[:min(12, len(b.Revision))]; short != "" && !strings.Contains(b.Version, short) {
		text += " " + short
		if b.Modified {
			text += " with changes"
		}
	}
	return fmt.Sprintf("%s %s %s/%s", text, b.Go, b.OS, b.Arch)
}

// version says what this program was built from.
func version() string { return readBuild().String() }

// version is what --version prints.
func (a *app) version() string {
	if a.asCompose {
		return (&versionVerb{app: a}).asCompose()
	}
	return version()
}
