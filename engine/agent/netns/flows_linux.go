package netns

import (
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// forgetQuestions has the kernel forget where it sent the questions for names that are on their way: it
// decides that once for each pair of sockets, and some programs ask all of theirs over one. What it
// forgets it decides again, by the rules as they are now; an answer that is under way is lost, and its
// question is asked again. A kernel without such a list to look at decides only for new sockets.
func forgetQuestions() {
	f := &netlink.ConntrackFilter{}
	if f.AddProtocol(unix.IPPROTO_UDP) != nil || f.AddPort(netlink.ConntrackOrigDstPort, 53) != nil {
		return
	}
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		_, _ = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, f)
	}
}
