package build

import (
	"context"
	"fmt"
	"os"

	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/secrets/secretsprovider"

	"bulkhead/engine/container"
	"bulkhead/engine/hostfile"
)

// secretStore hands out the secrets of one build. Files are read when the build
// asks, so that a step that comes from the cache reads nothing.
type secretStore map[string]container.BuildSecret

func newSecretStore(list []container.BuildSecret) (secretStore, error) {
	store := secretStore{}
	for _, s := range list {
		if s.ID == "" {
			return nil, fmt.Errorf("a build secret has no id")
		}
		if s.File != "" {
			st, err := os.Stat(s.File)
			if err != nil {
				return nil, fmt.Errorf("build secret %s: %w", s.ID, err)
			}
			if !st.Mode().IsRegular() {
				return nil, fmt.Errorf("build secret %s: %s is not a file", s.ID, s.File)
			}
			if st.Size() > secretsprovider.MaxSecretSize {
				return nil, fmt.Errorf("build secret %s: %s has %d bytes, BuildKit takes %d at most",
					s.ID, s.File, st.Size(), secretsprovider.MaxSecretSize)
			}
		}
		store[s.ID] = s
	}
	return store, nil
}

func (m secretStore) GetSecret(_ context.Context, id string) ([]byte, error) {
	s, ok := m[id]
	if !ok {
		return nil, fmt.Errorf("%s: %w", id, secrets.ErrNotFound)
	}
	if s.File == "" {
		return []byte(s.Env), nil
	}
	return hostfile.Read(s.File, secretsprovider.MaxSecretSize)
}
