package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type manVerb struct{ app *app }

// command is hidden: `make install` writes the page with it.
func (v *manVerb) command() *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Print the manual page",
		Args:   noArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := v.app.console.stdout.Write(manual(cmd.Root()))
			return err
		},
	}
}

// manual is the manual page, made from the commands.
func manual(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH BULKHEAD 1 \"\" %q \"User Commands\"\n", "bulkhead "+readBuild().Version)
	fmt.Fprintf(&b, ".SH NAME\nbulkhead \\- %s\n", roff(root.Short))
	fmt.Fprint(&b, ".SH SYNOPSIS\n.B bulkhead\n[\\fIOPTIONS\\fR] [\\fIVERB\\fR [\\fIARGUMENTS\\fR]]\n")
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(root.Long))
	fmt.Fprint(&b, ".SH OPTIONS\nThese stand before or after any verb.\n")
	manualFlags(&b, root.PersistentFlags())
	fmt.Fprint(&b, ".SH VERBS\n")
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		fmt.Fprintf(&b, ".SS bulkhead %s\n%s.\n", roff(c.Use), roff(c.Short))
		if c.Long != "" {
			fmt.Fprintf(&b, ".PP\n%s\n", roff(c.Long))
		}
		manualFlags(&b, c.LocalNonPersistentFlags())
	}
	fmt.Fprint(&b, `.SH EXIT STATUS
.TP
0
done
.TP
1
something failed
.TP
2
wrong usage, or a Compose file that does not load
.TP
3
no engine answers
.TP
4
a drill found what its --fail-on names
.PP
exec, run, attach, wait and up --exit-code-from return the program's.
.SH SEE ALSO
.BR docker (1)
`)
	return b.Bytes()
}

func manualFlags(b *bytes.Buffer, fs *pflag.FlagSet) {
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		short := ""
		if f.Shorthand != "" {
			short = `\fB\-` + f.Shorthand + `\fR, `
		}
		if value != "" {
			value = ` \fI` + roff(value) + `\fR`
		}
		fmt.Fprintf(b, ".TP\n%s\\fB\\-\\-%s\\fR%s\n%s\n", short, roff(f.Name), value, roff(usage))
	})
}

// roff writes text so that no character of it is a command.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
