package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestVersionInThePlaceOfDockerComposeIsTheOneThatIsSpoken(t *testing.T) {
	for args, want := range map[string]string{
		"version":                 "Docker Compose version v5.7.0\n",
		"version --short":         "5.7.0\n",
		"version -f json":         `{"version":"v5.7.0"}` + "\n",
		"version --format json":   `{"version":"v5.7.0"}` + "\n",
		"version -f pretty":       "Docker Compose version v5.7.0\n",
		"--version":               "Docker Compose version v5.7.0\n",
		"version --short -f json": "5.7.0\n",
	} {
		var out, errs bytes.Buffer
		code := Main(t.Context(), strings.Fields(args), Parts{Stdin: strings.NewReader(""), Stdout: &out,
			Stderr: &errs, Compose: true})
		if code != exitDone || out.String() != want || errs.Len() > 0 {
			t.Errorf("%s: code %d, %q, %q", args, code, out.String(), errs.String())
		}
	}
	var out bytes.Buffer
	Main(t.Context(), []string{"version"}, Parts{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out})
	if !strings.HasPrefix(out.String(), "bulkhead ") {
		t.Errorf("by its own name: %q", out.String())
	}
}
