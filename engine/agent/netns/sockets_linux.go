package netns

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkhead/engine/agent"
)

// states of a TCP socket, as the kernel counts them.
const (
	established = 1
	listening   = 10
)

// opened lists the connections that were opened from here.
func opened() ([]*netlink.Socket, error) {
	var all []*netlink.Socket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		found, err := netlink.SocketDiagTCP(family)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	servers := map[uint16]bool{}
	for _, s := range all {
		if s.State == listening {
			servers[s.ID.SourcePort] = true
		}
	}
	var out []*netlink.Socket
	for _, s := range all {
		to, ok := netip.AddrFromSlice(s.ID.Destination)
		if ok && s.State == established && !servers[s.ID.SourcePort] && !to.Unmap().IsLoopback() {
			out = append(out, s)
		}
	}
	return out, nil
}

// holds says whether a program has a connection open that was opened from here, be it only to read. One that was closed
// stays for a while, without a file of anybody's.
func holds(from, to net.Addr) bool {
	s, err := netlink.SocketGet(from, to)
	return err == nil && s.INode != 0
}

// existing are those of all that go to addresses which a rule is about, and do not go through the
// proxy, whose local ports are ours.
func existing(r *agent.Rule, all []*netlink.Socket, ours map[uint16]bool) (out []*netlink.Socket) {
	for _, s := range all {
		to, ok := netip.AddrFromSlice(s.ID.Destination)
		if ok && covers(r, netip.AddrPortFrom(to.Unmap(), s.ID.DestinationPort)) && !ours[s.ID.SourcePort] {
			out = append(out, s)
		}
	}
	return out
}

// cut ends the connections that exist: both ends notice.
func cut(r *agent.Rule, p *proxy) error {
	all, err := opened()
	errs := []error{err}
	for _, s := range existing(r, all, p.ours()) {
		err := netlink.SocketDestroy(&net.TCPAddr{IP: s.ID.Source, Port: int(s.ID.SourcePort)},
			&net.TCPAddr{IP: s.ID.Destination, Port: int(s.ID.DestinationPort)})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
