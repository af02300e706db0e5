package memory

import (
	"fmt"
	"os"
	"path"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// contents puts in the secrets and configs of a service. Callers hold the engine's
// mu.
func (b *box) contents(app *container.App, c types.ServiceConfig) error {
	for _, ref := range c.Secrets {
		at := ref.Target
		if at == "" {
			at = ref.Source
		}
		if !path.IsAbs(at) {
			at = "/run/secrets/" + at
		}
		if err := b.content(app, "secret "+ref.Source, at,
			types.FileObjectConfig(app.Secrets[ref.Source])); err != nil {
			return err
		}
	}
	for _, ref := range c.Configs {
		at := ref.Target
		if at == "" {
			at = "/" + ref.Source
		}
		if err := b.content(app, "config "+ref.Source, at,
			types.FileObjectConfig(app.Configs[ref.Source])); err != nil {
			return err
		}
	}
	return nil
}

func (b *box) content(app *container.App, what, at string, o types.FileObjectConfig) error {
	text := o.Content
	switch {
	case o.Environment != "":
		value, ok := app.Environment[o.Environment]
		if !ok {
			return fmt.Errorf("%s: the environment variable %s is not set", what, o.Environment)
		}
		text = value
	case o.File != "":
		all, err := os.ReadFile(o.File)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		text = string(all)
	}
	b.tree.write(at, text)
	return nil
}
