package fault_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// counters are what traffic changes in a listing of rules.
var counters = regexp.MustCompile(`(counter )?packets \d+ bytes \d+|\[\d+:\d+\]|# handle \d+`)

// hostRules are the rules of the machine's own network, as far as they can be listed.
func hostRules(t *testing.T) []string {
	var all []string
	for _, c := range [][]string{{"nft", "list", "ruleset"}, {"iptables-save"}, {"ip6tables-save"}} {
		out, err := exec.Command(c[0], c[1:]...).Output()
		if err != nil {
			continue // not installed
		}
		for line := range strings.Lines(string(out)) {
			// times and policies
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ":") {
				all = append(all, counters.ReplaceAllString(line, ""))
			}
		}
	}
	if len(all) == 0 {
		t.Log("the rules of the host are not compared: they cannot be listed")
	}
	return all
}

// notOurs are what names the networks and containers of other projects in a rule: bridges, links and addresses.
var notOurs = regexp.MustCompile(
	`\b(br-[0-9a-f]{12}|docker0|veth\w+)\b|\b\d+\.\d+\.\d+\.\d+\b|\b[0-9a-f]*:[0-9a-f:]*:[0-9a-f]*\b`)

// changedRules are the rules that stand in one listing alone, without those of other projects, which
// come and go at the same time: what names a bridge, a link or an address, and none of the yard's.
func changedRules(before, after, ours []string) (out []string) {
	count := map[string]int{}
	for _, line := range before {
		count[line]--
	}
	for _, line := range after {
		count[line]++
	}
	for line, n := range count {
		named := notOurs.FindAllString(line, -1)
		foreign := len(named) > 0 && !slices.ContainsFunc(named, func(name string) bool {
			return slices.Contains(ours, name)
		})
		if n != 0 && !foreign && line != "}" {
			out = append(out, fmt.Sprintf("%+d %s", n, line))
		}
	}
	slices.Sort(out)
	return out
}

// own are the bridges and the addresses of the yard.
func (y *yard) own() (ours []string) {
	y.t.Helper()
	for _, service := range []string{"caller", "callee", "other"} {
		n, err := y.rt.Network(y.t.Context(), y.name, y.container(service))
		if err != nil {
			y.t.Fatal(err)
		}
		for _, id := range n.Networks {
			ours = append(ours, "br-"+id[:12])
		}
		for _, address := range n.Addresses {
			ours = append(ours, address.String())
		}
	}
	return ours
}

// injectBesideHost puts a fault in force, and looks that the rules of the host stay as they are.
func (y *yard) injectBesideHost(words, service, from string) {
	y.t.Helper()
	ours := y.own()
	before := hostRules(y.t)
	y.inject(words, service, from)
	if changed := changedRules(before, hostRules(y.t), ours); len(changed) > 0 {
		y.t.Errorf("%s: rules of the host changed:\n%s", words, strings.Join(changed, "\n"))
	}
}

// What other projects do to the rules of the host meanwhile does not count; what the agent would do does.
func TestRulesOfOtherProjectsAreLeftOut(t *testing.T) {
	ours := []string{"br-0123456789ab", "172.21.0.2"}
	before := []string{"-A FORWARD -j DOCKER-USER",
		"-A POSTROUTING -s 172.30.0.0/16 ! -o br-fedcba987654 -j MASQUERADE", "}",
		"-A DOCKER -o br-0123456789ab -j DROP"}
	after := []string{"-A FORWARD -j DOCKER-USER", "}", "}", "-A DOCKER -o br-0123456789ab -j DROP",
		"-A FORWARD -o br-fedcba987655 -j DOCKER",
		"iifname \"br-fedcba987655\" accept",
		"-A DOCKER -d 172.30.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT", "-A x -s fd00:1::2/128 -j DROP",
		"-A POSTROUTING -s 172.30.0.2/32 -d 172.30.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE"}
	if got := changedRules(before, after, ours); len(got) > 0 {
		t.Errorf("counted as ours:\n%s", strings.Join(got, "\n"))
	}
	for _, rule := range []string{"table inet bulkhead {", "-A FORWARD -d 172.21.0.2/32 -j DROP",
		"-A FORWARD -i br-0123456789ab -j DROP", "-A INPUT -p tcp -j DROP"} {
		if got := changedRules(before, append(slices.Clone(before), rule), ours); len(got) != 1 {
			t.Errorf("%s: %q", rule, got)
		}
	}
	if got := changedRules(before, before[:3], ours); len(got) != 1 {
		t.Errorf("a rule that is gone: %q", got)
	}
}
