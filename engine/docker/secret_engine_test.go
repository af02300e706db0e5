package docker

import (
	"strings"
	"testing"
)

// A secret that only its owner may read is the process's own, whatever user the image has.
func TestSecretThatOnlyItsOwnerMayReadIsTheUsers(t *testing.T) {
	t.Setenv("BHDOCK_SECRET", "s3cret")
	b := open(t, `
services:
  web:
    image: IMAGE
    user: "1234:77"
    secrets: [{source: s, mode: 0400}, {source: s, target: given, uid: "5", mode: 0400}, {source: s, target: open}]
secrets: {s: {environment: BHDOCK_SECRET}}
`)
	web := b.start("web")
	for target, want := range map[string]string{"s": "1234:77 400", "given": "5:0 400", "open": "0:0 444"} {
		out, code := b.run(web, "stat", "-c", "%u:%g %a", "/run/secrets/"+target)
		if code != 0 || strings.TrimSpace(out) != want {
			t.Errorf("%s: %d %q, want %s", target, code, out, want)
		}
	}
}
