package engine_test

import (
	"os/exec"
	"strings"
	"testing"

	"bulkhead/engine"
)

// docker runs the engine's own command line: what somebody does behind our back.
func (s *stage) docker(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// needDocker skips a test that needs the command line.
func needDocker(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("needs the docker command line")
	}
}

const plain = "\n  a: {image: IMAGE, command: LOOP, stop_grace_period: 0s}\n"

func composed(services string) map[string]string {
	return map[string]string{"compose.yaml": strings.NewReplacer("IMAGE", baseImage, "LOOP", loop).Replace("services:\n" + services)}
}

// A swap that was cut short leaves two containers for one number, the new one under a name for the time of the swap.
func TestSecondContainerOfANumberGoesAndTheNewestThatFitsStays(t *testing.T) {
	needDocker(t)
	s := open(t, composed(`
  a: {image: IMAGE, command: LOOP, stop_grace_period: 0s, ports: ["127.0.0.1::80"]}
`))
	s.up()
	s.must(s.stop())
	old := s.name + "-a-1"
	labels := []string{"create", "--network", s.name + "_default", "--name", s.docker("inspect", "-f", "{{.Id}}", old)[:12] + "_" + old}
	for _, l := range strings.Split(s.docker("inspect", "-f", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}\n{{end}}", old), "\n") {
		if l != "" {
			labels = append(labels, "--label", l)
		}
	}
	fresh := s.docker(append(append(labels, s.docker("inspect", "-f", "{{.Config.Image}}", old)), "sleep", "1000")...)
	s.run(engine.Options{NoWatch: true})
	s.ready()
	if plan := s.Snapshot().Plan; !strings.Contains(plan, "a/1: start (created)") || !strings.Contains(plan, "a/1: remove (second container for this number)") {
		t.Errorf("plan:\n%s", plan)
	}
	if got := s.docker("ps", "-a", "--no-trunc", "--filter", "label=com.docker.compose.project="+s.name, "--format", "{{.ID}} {{.Names}} {{.State}}"); got != fresh+" "+old+" running" {
		t.Errorf("containers:\n%s\nwant %s alone, running as %s", got, fresh, old)
	}
	if a := find(s.Snapshot(), "a"); a.Replicas[0].Identity.ID != fresh || a.Replicas[0].Name != old {
		t.Errorf("the screen shows %+v", a.Replicas[0])
	}
}

func TestNetworkThatWasRemovedWhileStoppedIsMadeAgain(t *testing.T) {
	needDocker(t)
	s := open(t, composed(plain))
	s.up()
	s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
	s.docker("network", "rm", s.name+"_default")
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}}) // in the same run
	s.ready()
	s.must(s.stop())
	s.docker("stop", "-t", "0", s.name+"-a-1")
	s.docker("network", "rm", s.name+"_default")
	s.docker("network", "create", "--label", "com.docker.compose.project="+s.name, "--label", "com.docker.compose.network=default", s.name+"_default") // by another hand
	s.run(engine.Options{NoWatch: true})
	s.ready()
}

func TestOrphanThatHasTheNameGoesFirst(t *testing.T) {
	s := open(t, composed("\n  old: {image: IMAGE, command: LOOP, stop_grace_period: 0s, container_name: NAME}\n"))
	name := s.name + "-fixed"
	s.write(map[string]string{"compose.yaml": strings.ReplaceAll(composed("\n  old: {image: IMAGE, command: LOOP, stop_grace_period: 0s, container_name: NAME}\n")["compose.yaml"], "NAME", name)})
	s.up()
	s.must(s.stop())
	s.write(map[string]string{"compose.yaml": strings.ReplaceAll(composed("\n  new: {image: IMAGE, command: LOOP, stop_grace_period: 0s, container_name: NAME}\n")["compose.yaml"], "NAME", name)})
	s.run(engine.Options{RemoveOrphans: true})
	s.ready()
	// The same under a running up.
	s.write(map[string]string{"compose.yaml": strings.ReplaceAll(composed("\n  newer: {image: IMAGE, command: LOOP, stop_grace_period: 0s, container_name: NAME}\n")["compose.yaml"], "NAME", name)})
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) == 2 })
	s.do(engine.Command{Verb: engine.VerbUp})
	s.ready("newer")
	s.until("row of the old one gone", func(n *engine.Snapshot) bool { return len(n.Services) == 1 })
	for key := range s.identities() {
		if key != "newer/1" {
			t.Errorf("%s is still there", key)
		}
	}
}

func TestServiceTakenOutOfTheFileStaysRemovedAndMayComeBack(t *testing.T) {
	both := composed(plain + "  b: {image: IMAGE, command: LOOP, stop_grace_period: 0s}\n")
	s := open(t, both)
	s.up()
	before := s.identities()["a/1"]
	s.write(composed(plain))
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) == 1 })
	s.do(engine.Command{Verb: engine.VerbUp, Cause: "you pressed u"})
	s.until("row of b gone", func(n *engine.Snapshot) bool { return find(n, "b").Name == "" })
	s.do(engine.Command{Verb: engine.VerbUp})
	if ids := s.identities(); len(ids) != 1 || ids["a/1"] != before {
		t.Errorf("containers %v, want a alone, as it was: %v\n%s", ids, before, s.dump())
	}
	if err := s.Do(t.Context(), engine.Command{Verb: engine.VerbUp, Services: []string{"b"}}); err == nil || !strings.Contains(err.Error(), "no such service; there are a") {
		t.Errorf("up of a service that is gone: %v", err)
	}
	s.write(both)
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) == 1 })
	s.do(engine.Command{Verb: engine.VerbUp})
	s.ready("a", "b")
	if ids := s.identities(); len(ids) != 2 || ids["a/1"] != before {
		t.Errorf("containers %v", ids)
	}
}
