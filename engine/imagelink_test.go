package engine_test

import (
	"os"
	"strings"
	"testing"

	"bulkhead/engine"
)

// An image whose target has links: one that stays inside, one that leads out, one to a file, one in
// a circle, one to nothing yet.
const linkedImage = `
services:
  a:
    build:
      dockerfile_inline: |
        FROM IMAGE
        RUN mkdir -p /t/real /t/conf.d /var/out && echo theirs > /var/out/f && echo theirs > /t/conf.d/one \
          && ln -s real /t/in && ln -s /var/out /t/out && ln -s conf.d/one /t/conf && ln -s loop /t/loop && ln -s /t/later /t/soon && ln -s /etc /t/etc
    command: COMMAND
    develop: {watch: [{path: data, action: sync, target: /t, initial_sync: INITIAL}]}
`

func linked(initial string) string {
	return strings.NewReplacer("IMAGE", baseImage, "COMMAND", loop, "INITIAL", initial).Replace(linkedImage)
}

const linksLook = `cd /t; for l in in out conf loop soon etc; do echo "$l>$(readlink $l)"; done; ls /var/out; cat /var/out/f; cut -d: -f1 /etc/passwd`

const linksStay = "in>real\nout>/var/out\nconf>conf.d/one\nloop>loop\nsoon>/t/later\netc>/etc\nf\ntheirs\nroot"

func TestImageLinksWithInitialSync(t *testing.T)    { imageLinks(t, "true") }
func TestImageLinksWithoutInitialSync(t *testing.T) { imageLinks(t, "false") }

// imageLinks: what is saved is written through a link that stays in the target, else refused; the
// link is never replaced.
func imageLinks(t *testing.T, initial string) {
	s := open(t, map[string]string{"compose.yaml": linked(initial), "data/in/f": "0", "data/out/f": "0", "data/conf": "0", "data/loop/f": "0",
		"data/soon/f": "0", "data/etc/passwd": "0", "data/plain": "0"})
	s.up()
	id := s.identities()["a/1"].ID
	for _, round := range []string{"1", "2", "3"} {
		if round == "2" { // one that does not run is reached in another way
			s.must(s.rt.Stop(t.Context(), id, 0))
			s.until("stopped", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
		}
		s.write(map[string]string{"data/in/f": round, "data/out/f": round, "data/conf": round, "data/loop/f": round, "data/soon/f": round,
			"data/etc/passwd": round, "data/in/deep/g": round, "data/plain": round})
		want := []string{
			"/t/out is a link to /var/out in the container, outside of the target /t; name /var/out as the target of a rule of its own",
			"/t/etc is a link to /etc in the container, outside of the target /t", "/t/loop is a link to loop in the container",
		}
		s.until("refusal", func(n *engine.Snapshot) bool {
			for _, w := range want {
				if !strings.Contains(strings.Join(n.Warnings, "\n"), w) {
					return false
				}
			}
			return len(find(n, "a").Pending) == 0
		})
		if round == "2" {
			s.idle("a")
			s.must(s.rt.Start(t.Context(), engine.CreateSpec{}, id))
		}
		s.eventually("files of round "+round, func() bool {
			got, err := s.tryCat("a", "/t/real/deep/g")
			plain, _ := s.tryCat("a", "/t/plain")
			return err == nil && got == round && plain == round
		})
		s.idle("a")
		if got, want := s.sh("a", "cd /t; cat real/f real/deep/g conf.d/one later/f"), strings.Repeat(round, 4); got != want {
			t.Errorf("round %s: what lies behind the links is %q, want %q", round, got, want)
		}
		if got := s.sh("a", linksLook); got != linksStay {
			t.Errorf("round %s: the links and what they lead to:\n%s\nwant\n%s", round, got, linksStay)
		}
	}
	// What was put behind a link goes with its file, and with its folder; the link and what is the image's stays.
	s.sh("a", "touch /t/real/own")
	s.must(os.RemoveAll(s.path("data/in")), os.Remove(s.path("data/soon/f")), os.RemoveAll(s.path("data/out")))
	s.eventually("the files gone", func() bool { return s.sh("a", "cd /t; find real later -type f") == "real/own" })
	s.idle("a")
	if got := s.sh("a", linksLook); got != linksStay {
		t.Errorf("after deletions:\n%s\nwant\n%s", got, linksStay)
	}
}
