package build_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"bulkhead/engine/build"
	"bulkhead/engine/container"
)

// The engine pulls from a registry of this test, which has nothing but wants to know who asks.
func TestCredentialHelperIsAskedForTheRegistry(t *testing.T) {
	needEngine(t)
	var who atomic.Value
	reg := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, ok := r.BasicAuth(); ok {
			who.Store(user + ":" + pass)
			http.NotFound(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, "who are you", http.StatusUnauthorized)
	}))
	defer reg.Close()
	host := reg.Listener.Addr().String()

	conf := write(t, t.TempDir(),
		"config.json", `{"credHelpers": {"`+host+`": "bhbuild"}}`,
		"docker-credential-bhbuild",
		"#!/bin/sh\ncat >/dev/null\necho '{\"ServerURL\": \"\", \"Username\": \"anna\", \"Secret\": \"s3cret\"}'\n")
	if err := os.Chmod(filepath.Join(conf, "docker-credential-bhbuild"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", conf+":"+os.Getenv("PATH"))
	b := build.New(build.Options{Dial: dial, HasBuildKit: build.ServesBuildKit, DockerConfigDir: conf})
	defer b.Close()
	_, err := b.Build(t.Context(), container.BuildRequest{Service: "web", DockerfileInline: "FROM " +
		host + "/team/tools:1\n"}, nil)
	if err == nil {
		t.Fatal("built from an image that does not exist")
	}
	if who.Load() != "anna:s3cret" {
		t.Errorf("the registry saw %v; %v", who.Load(), err)
	}
}
