package docker

import (
	"bytes"
	"context"
	"fmt"

	"github.com/docker/cli/cli/config/configfile"

	"bulkhead/engine/container"
)

// credentialer is the container.Credentialer.
type credentialer struct {
	conn *connection
}

var _ container.Credentialer = (*Runtime)(nil)

// Credentials implements container.Credentialer.
func (c *credentialer) Credentials(context.Context) (string, error) {
	conf, err := c.conn.end.dockerConfig()
	if err != nil {
		return "", err
	}
	all, err := conf.GetAllCredentials()
	if err != nil {
		return "", fmt.Errorf("read the credentials for registries: %w", err)
	}
	if len(all) == 0 {
		return "", nil
	}
	var out bytes.Buffer
	if err := (&configfile.ConfigFile{AuthConfigs: all}).SaveToWriter(&out); err != nil {
		return "", fmt.Errorf("write the credentials for registries: %w", err)
	}
	return out.String(), nil
}
