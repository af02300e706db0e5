package container

import "context"

// Credentialer is a runtime whose user has credentials for registries.
type Credentialer interface {
	// Credentials returns all of them as a config file of the docker command, "" when there are none. It may run
	// a helper program of the user's own docker config.
	Credentials(ctx context.Context) (string, error)
}
