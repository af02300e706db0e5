package netns

import (
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"bulkhead/engine/agent"
)

// A program that asks all its questions over one socket gets the wrong answers too, from the moment
// that the rule is there, and the right ones once it is gone.
func TestSocketThatAsksAgainMeetsTheRule(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a network namespace of its own takes root")
	}
	runtime.LockOSThread() // it ends with the thread, which nobody else gets back
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace can be made here: %v", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	// What the rule does needs a thread in this namespace; sockets keep theirs wherever they are used.
	upstream, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	go answerAll(upstream)
	if err := sendQuestionsTo(upstream); err != nil {
		t.Skipf("this kernel takes no rules: %v", err)
	}
	ask, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53})
	if err != nil {
		t.Fatal(err)
	}
	defer ask.Close()
	if got := rcode(t, ask); got != dnsmessage.RCodeSuccess {
		t.Fatalf("without a rule: %s", got)
	}
	s := &server{}
	if err := s.listen([]agent.Rule{{ID: "1", Does: agent.Resolve, Answer: "nxdomain"}}); err != nil {
		t.Fatal(err)
	}
	defer s.dns.close()
	s.rules = []agent.Rule{{ID: "1", Does: agent.Resolve, Answer: "nxdomain"}}
	if err := s.reinstall(); err != nil {
		t.Fatal(err)
	}
	if got := rcode(t, ask); got != dnsmessage.RCodeNameError {
		t.Errorf("with the rule: %s", got)
	}
	s.rules = nil
	if err := s.reinstall(); err != nil {
		t.Fatal(err)
	}
	if got := rcode(t, ask); got != dnsmessage.RCodeSuccess {
		t.Errorf("without it again: %s", got)
	}
}

// sendQuestionsTo makes the rule by which an engine has its own resolver answer.
func sendQuestionsTo(upstream *net.UDPConn) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "engine"})
	chain := c.AddChain(&nftables.Chain{Name: "nat", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
	port := uint16(upstream.LocalAddr().(*net.UDPAddr).Port)
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: slices.Concat(l4(unix.IPPROTO_UDP),
		dport(53, 2), redirect(port))})
	return c.Flush()
}

// answerAll answers each question with success.
func answerAll(c *net.UDPConn) {
	buf := make([]byte, 512)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n > 2 {
			buf[2] |= 0x80 // it is an answer
		}
		_, _ = c.WriteToUDPAddrPort(buf[:n], from)
	}
}

// rcode asks until there is an answer: one that was under way when rules changed is lost.
func rcode(t *testing.T, c *net.UDPConn) dnsmessage.RCode {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("callee."),
			Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	q, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	for range 100 {
		if _, err := c.Write(q); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil {
			continue
		}
		if err := m.Unpack(buf[:n]); err != nil {
			t.Fatal(err)
		}
		return m.RCode
	}
	t.Fatal("no answer")
	return 0
}
