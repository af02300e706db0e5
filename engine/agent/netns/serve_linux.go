package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"bulkhead/engine/agent"
)

// server carries out what comes in over the protocol.
type server struct {
	out   *agent.Writer
	claim net.Listener // nil where a stranger has the name
	proxy *proxy       // nil before the first rule that needs it
	dns   *resolver    // likewise
	rules []agent.Rule
}

// Serve does what it is asked to until its input ends, falls silent for agent.Silence, or ctx ends.
// Then it undoes everything, lets connections go on that went through it, for agent.Drain at most,
// and returns. One agent works in a network namespace at a time: with take the one that is there is
// asked to leave, and with alone the engine has said that there is none.
func Serve(ctx context.Context, in io.Reader, out io.Writer, take, alone bool) error {
	s := &server{out: agent.NewWriter(out)}
	var err error
	if s.claim, err = claim(ctx, take, alone); err != nil {
		return err
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	if s.claim != nil {
		go func() {
			if c, err := s.claim.Accept(); err == nil { // it ends with the claim
				c.Close()
				leave()
			}
		}()
	}
	// What an agent that was killed left behind is not wanted any more.
	if err := errors.Join(install(nil, ports{}), applyQueues(nil)); err != nil {
		return err
	}
	if err := s.out.Write(agent.Reply{Version: agent.Version}); err != nil {
		return err
	}
	err = s.run(ctx, in)
	return errors.Join(err, s.undo())
}

// claim makes this agent the only one in its network namespace, in which abstract names of sockets
// are unique. One whose bulkhead died is waited for. Any process of the container can have the name,
// too: with alone that keeps nobody from work.
func claim(ctx context.Context, take, alone bool) (net.Listener, error) {
	const name = "@bulkhead-agent"
	for end := time.Now().Add(agent.Silence + 2*time.Second); ; {
		l, err := net.Listen("unix", name)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		if alone {
			return nil, nil
		}
		if take {
			if c, err := net.Dial("unix", name); err == nil {
				c.Close() // that is the request
			}
		}
		if time.Now().After(end) {
			return nil, errors.New(
				"another bulkhead has a fault or a tap in force in this network; `bulkhead heal` ends its faults")
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *server) run(ctx context.Context, in io.Reader) error {
	links, stop := changes()
	defer stop()
	r := agent.NewReader(in)
	return agent.Server[agent.Command]{
		Next: func() (c agent.Command, err error) {
			err = r.Read(&c)
			return c, err
		},
		Do:    s.do,
		Beat:  func() error { return s.out.Write(s.counts()) },
		Wake:  links,
		Woken: func() { _ = s.reinstall() }, // the next change tries again
	}.Run(ctx)
}

func (s *server) do(c agent.Command) error {
	if !c.Apply {
		return nil
	}
	err := s.apply(c.Rules)
	// Whoever asked knows at once which connections the rules leave alone.
	r := agent.Reply{Seq: c.Seq, Counts: s.count()}
	if err != nil {
		r.Error = err.Error()
	}
	return s.out.Write(r)
}

// changes says that interfaces came or went: once for several that nobody has taken yet.
func changes() (<-chan struct{}, func()) {
	updates, done := make(chan netlink.LinkUpdate, 16), make(chan struct{})
	if netlink.LinkSubscribe(updates, done) != nil {
		return nil, func() {}
	}
	changed := make(chan struct{}, 1)
	go func() {
		for range updates {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	return changed, func() { close(done) }
}

// apply puts rules in the place of those that are in force. On an error those stay.
func (s *server) apply(rules []agent.Rule) error {
	before := s.rules
	if err := s.listen(rules); err != nil {
		return err
	}
	s.rules = rules
	if err := s.reinstall(); err != nil {
		s.rules = before
		return errors.Join(err, s.reinstall())
	}
	for i := range rules {
		r := &rules[i]
		fresh := true
		for _, old := range before {
			fresh = fresh && old.ID != r.ID
		}
		if r.Cut && fresh && s.proxy != nil {
			if err := cut(r, s.proxy); err != nil {
				return fmt.Errorf("cut the connections that exist: %w", err)
			}
		}
	}
	return nil
}

// listen opens what rules need.
func (s *server) listen(rules []agent.Rule) (err error) {
	for _, r := range rules {
		if s.proxy == nil && (r.Does == agent.Proxy || r.Does == agent.Tap || r.Cut) {
			if s.proxy, err = listenProxy(); err != nil {
				return err
			}
		}
		if s.dns == nil && r.Does == agent.Resolve {
			if s.dns, err = listenResolver(); err != nil {
				return err
			}
		}
	}
	return nil
}

// reinstall brings the kernel and the listeners in line with the rules.
func (s *server) reinstall() error {
	var at ports
	// Those that listen know the new rules before anything is sent to them.
	if s.proxy != nil {
		at.proxy = s.proxy.port
		s.proxy.set(s.rules)
	}
	if s.dns != nil {
		at.dnsUDP = s.dns.udp.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
		at.dnsTCP = s.dns.tcp.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
		s.dns.set(s.rules)
	}
	err := errors.Join(install(s.rules, at), applyQueues(s.rules))
	if s.dns != nil {
		forgetQuestions()
	}
	return err
}

// counts is what each beat tells.
func (s *server) counts() agent.Reply {
	if s.proxy == nil {
		return agent.Reply{}
	}
	return agent.Reply{Counts: s.count(), Seen: s.proxy.seen(time.Now())}
}

// count is what the rules have done so far, and which connections they leave alone.
func (s *server) count() []agent.Count {
	if s.proxy == nil {
		return nil
	}
	counts := s.proxy.counted()
	if len(counts) == 0 {
		return nil
	}
	all, err := opened()
	if err != nil {
		return counts // the next beat tries again
	}
	ours := s.proxy.ours()
	for i := range counts {
		for n := range s.rules {
			if s.rules[n].ID == counts[i].ID {
				counts[i].Kept = len(existing(&s.rules[n], all, ours))
			}
		}
	}
	return counts
}

// undo takes everything back.
func (s *server) undo() error {
	var err error
	if len(s.rules) > 0 { // else another agent may be at work here by now
		s.rules = nil
		err = s.reinstall()
	}
	if s.claim != nil {
		_ = s.claim.Close() // the next agent may come while connections still go on
	}
	if s.dns != nil {
		s.dns.close()
	}
	if s.proxy == nil {
		return err
	}
	s.proxy.close()
	drained := make(chan struct{})
	go func() { defer close(drained); s.proxy.wait() }()
	select {
	case <-drained:
	case <-time.After(agent.Drain + time.Second):
	}
	return err
}
