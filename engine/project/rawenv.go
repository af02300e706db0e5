package project

import (
	"fmt"
	"io"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/docker/cli/pkg/kvfile"
)

// registerRaw teaches compose-go `format: raw` of env_file, which docker compose adds to it: the lines as they are, as
// `docker run --env-file` reads them. The caller holds loggerMu, because compose-go's list of formats has no lock.
func registerRaw() {
	dotenv.RegisterFormat("raw", func(r io.Reader, name string, vars map[string]string,
		lookup func(string) (string, bool)) error {
		lines, err := kvfile.ParseFromReader(r, lookup)
		if err != nil {
			return fmt.Errorf("failed to read %s: %w", name, err) // worded as compose-go's own format does
		}
		for _, line := range lines {
			key, value, _ := strings.Cut(line, "=")
			vars[key] = value
		}
		return nil
	})
}
