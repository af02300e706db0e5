package project

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

func TestContentOfASecretFileCounts(t *testing.T) {
	f := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(f, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := &Service{Name: "a"}
	conf.Config.Secrets = []types.ServiceSecretConfig{{Source: "token"}}
	p := &Project{Compose: &types.Project{}, Secrets: map[string]types.SecretConfig{"token": {File: f}}}
	before := ContentHash(p, conf)
	if before == "" || ContentHash(p, conf) != before {
		t.Fatalf("hash %q, then %q", before, ContentHash(p, conf))
	}
	if err := os.WriteFile(f, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ContentHash(p, conf) == before {
		t.Error("another content has the same hash")
	}
	if got := ContentHash(p, &Service{Name: "b"}); got != "" {
		t.Errorf("a service without secrets has the hash %q", got)
	}
}
