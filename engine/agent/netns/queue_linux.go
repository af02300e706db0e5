package netns

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"bulkhead/engine/agent"
)

// queueHandle tells the agent's queues from those of others.
const queueHandle = 0xb17c

// applyQueues puts the queues of rules on all interfaces but loopback, and takes those away that no
// rule wants. The last rule that wants one has it.
func applyQueues(rules []agent.Rule) error {
	var wanted *agent.Rule
	for i := range rules {
		if d := rules[i].Does; d == agent.Queue || d == agent.Shape {
			wanted = &rules[i]
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the interfaces: %w", err)
	}
	var errs []error
	for _, l := range links {
		switch {
		case l.Attrs().Index == loopback:
		case wanted == nil:
			errs = append(errs, clearQueue(l))
		default:
			errs = append(errs, setQueue(l, *wanted))
		}
	}
	return errors.Join(errs...)
}

func kindOf(r agent.Rule) string {
	if r.Does == agent.Queue {
		return "netem"
	}
	return "tbf"
}

func setQueue(l netlink.Link, r agent.Rule) error {
	attrs := netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_ROOT,
		Handle: netlink.MakeHandle(queueHandle, 0)}
	var q netlink.Qdisc
	if r.Does == agent.Queue {
		q = netlink.NewNetem(attrs, netlink.NetemQdiscAttrs{Latency: uint32(r.Delay.Microseconds()),
			Jitter: uint32(r.Jitter.Microseconds()), Limit: 10_000})
	} else {
		bytes := uint64(r.Rate / 8)
		burst := uint32(max(bytes/100, 4096)) // a hundredth of a second, and at least one packet with room
		q = &netlink.Tbf{QdiscAttrs: attrs, Rate: bytes, Buffer: netlink.Xmittime(bytes, burst),
			Limit: uint32(max(bytes/4, 16*1024))}
	}
	if err := netlink.QdiscReplace(q); err != nil {
		return fmt.Errorf("queue on %s: %w", l.Attrs().Name, err)
	}
	return nil
}

func clearQueue(l netlink.Link) error {
	all, err := netlink.QdiscList(l)
	if err != nil {
		return fmt.Errorf("list the queues of %s: %w", l.Attrs().Name, err)
	}
	for _, q := range all {
		if q.Attrs().Handle == netlink.MakeHandle(queueHandle, 0) {
			if err := netlink.QdiscDel(q); err != nil {
				return fmt.Errorf("remove the queue of %s: %w", l.Attrs().Name, err)
			}
		}
	}
	return nil
}
