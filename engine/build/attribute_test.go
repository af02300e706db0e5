package build_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/engine/container"
)

func TestAgentAndHostsReachTheCommandWithoutAContext(t *testing.T) {
	b := newBuilder(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, t.TempDir(), "key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	mustBuild(t, b, container.BuildRequest{
		Service: "web", Tags: []string{prefix + "ssh"}, NoCache: true,
		DockerfileInline: "FROM " + base(t) +
			"\nRUN --mount=type=ssh,required test -S \"$SSH_AUTH_SOCK\" && grep -q '^10.1.2.3.*db$' /etc/hosts && grep -q '^fd00::7.*six$' /etc/hosts\n",
		SSH:        []container.BuildSSH{{Paths: []string{filepath.Join(dir, "key")}}},
		ExtraHosts: []string{"db=10.1.2.3", "six:fd00::7"},
	})
	if _, err := b.Build(t.Context(), container.BuildRequest{Service: "web",
		DockerfileInline: "FROM scratch",
		SSH:              []container.BuildSSH{{Paths: []string{filepath.Join(dir, "gone")}}}},
		nil); err == nil || !strings.Contains(err.Error(), "ssh: ") {
		t.Errorf("missing key: %v", err)
	}
}

func TestNoCacheRunsTheCommandAgain(t *testing.T) {
	b := newBuilder(t)
	r := container.BuildRequest{
		Service: "web", Context: write(t, t.TempDir(), "f", "x"), Tags: []string{prefix + "nocache"},
		DockerfileInline: "FROM " + base(t) +
			" AS one\nRUN cat /proc/sys/kernel/random/uuid > /one\nFROM one AS two\nRUN cat /proc/sys/kernel/random/uuid > /two\n",
	}
	id := func() string {
		mustBuild(t, b, r)
		id, _, _ := image(t, r.Tags[0])
		return id
	}
	first, again := id(), id()
	r.NoCacheFilter = []string{"two"}
	filtered := id()
	r.NoCache = true
	if none := id(); first != again || filtered == first || none == filtered {
		t.Errorf("images %s, %s, without cache for a stage %s, without cache %s", first, again, filtered, none)
	}
}

func TestLimitsAreAppliedOrNamed(t *testing.T) {
	b := newBuilder(t)
	res, err := b.Build(t.Context(), container.BuildRequest{
		Service: "web", Tags: []string{prefix + "limits"}, NoCache: true,
		DockerfileInline: "FROM " + base(t) + "\nRUN ulimit -n > /limit\n",
		Ulimits:          map[string][2]int64{"nofile": {512, 1024}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Notices) == 1 && strings.Contains(res.Notices[0], "build.ulimits") {
		return // an old engine, and it says so
	}
	mustBuild(t, b, container.BuildRequest{Service: "web", DockerfileInline: "FROM " + prefix +
		"limits\nRUN test \"$(cat /limit)\" = 512\n"})
}
