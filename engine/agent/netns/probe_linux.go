package netns

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"

	"bulkhead/engine/agent"
)

// ServeProbe writes a greeting that says what the kernel cannot do. It tries each thing for real, so
// it must run in a namespace of its own, with nothing in it.
func ServeProbe(out io.Writer) error {
	missing := map[agent.Ability]string{}
	dummy := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "bulkhead0"}}
	if err := netlink.LinkAdd(dummy); err == nil {
		defer netlink.LinkDel(dummy)
	}
	for ability, try := range probes {
		if err := try(); err != nil {
			missing[ability] = err.Error()
		}
	}
	return agent.NewWriter(out).Write(agent.Reply{Version: agent.Version, Missing: missing})
}

var probes = map[agent.Ability]func() error{
	agent.NAT:    func() error { return tryRule(agent.Rule{Does: agent.Proxy}) },
	agent.Drop:   func() error { return tryRule(agent.Rule{Does: agent.Partition}) },
	agent.Random: func() error { return tryRule(agent.Rule{Does: agent.Lose, Share: 0.5}) },
	agent.Netem:  func() error { return tryQueue(agent.Rule{Does: agent.Queue, Delay: time.Millisecond}) },
	agent.TBF:    func() error { return tryQueue(agent.Rule{Does: agent.Shape, Rate: 1_000_000}) },
}

// tryRule has the kernel take a rule, and takes it away again.
func tryRule(r agent.Rule) error {
	r.To = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")}
	err := install([]agent.Rule{r}, ports{proxy: 1})
	if err != nil {
		err = fmt.Errorf("the kernel refuses the nftables rule: %w", err)
	}
	return errors.Join(err, install(nil, ports{}))
}

func tryQueue(r agent.Rule) error {
	link, err := netlink.LinkByName("bulkhead0")
	if err != nil {
		link, err = netlink.LinkByName("lo")
	}
	if err != nil {
		return err
	}
	if err := setQueue(link, r); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the kernel has no module sch_%s", kindOf(r))
		}
		return err
	}
	return clearQueue(link)
}
