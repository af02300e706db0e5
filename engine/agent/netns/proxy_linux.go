package netns

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkhead/engine/agent"
)

// proxy takes the TCP connections that are redirected to it, and connects each with whom it was
// meant for. What it does to them is looked up again and again, so that it ends with its rule.
type proxy struct {
	listeners []net.Listener
	port      uint16

	mu     sync.Mutex
	rules  []agent.Rule
	pace   map[string]*[2]pace // of rules with a rate, by id: to the callee, and back
	counts map[string]*agent.Count
	taps   map[string]*tapped // of rules that tap, by id
	conns  map[*conn]struct{}
	closed bool // no more connections are taken
	wg     sync.WaitGroup
}

// effect is what the rules for an address do together.
type effect struct {
	ids    []string
	delay  time.Duration
	jitter time.Duration
	reset  float64
	paces  []*[2]pace
	tap    *tapped // nil: nobody wants to know
}

func listenProxy() (*proxy, error) {
	p := &proxy{pace: map[string]*[2]pace{}, counts: map[string]*agent.Count{},
		taps: map[string]*tapped{}, conns: map[*conn]struct{}{}}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p.listeners = append(p.listeners, l)
	p.port = uint16(l.Addr().(*net.TCPAddr).Port)
	// The same port on IPv6, where the namespace has it.
	if l, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", p.port)); err == nil {
		p.listeners = append(p.listeners, l)
	}
	for _, l := range p.listeners {
		p.wg.Go(func() { p.accept(l.(*net.TCPListener)) })
	}
	return p, nil
}

// set changes the rules. Connections of rules that are gone go on without them, for a while.
func (p *proxy) set(rules []agent.Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
	there := map[string]bool{}
	for _, r := range rules {
		if r.Does != agent.Proxy && r.Does != agent.Tap {
			continue
		}
		p.rules = append(p.rules, r)
		there[r.ID] = true
		if p.counts[r.ID] == nil {
			p.counts[r.ID] = &agent.Count{ID: r.ID}
		}
		if r.Does == agent.Tap && p.taps[r.ID] == nil {
			p.taps[r.ID] = newTapped(r.ID)
		}
		if r.Rate > 0 && p.pace[r.ID] == nil {
			p.pace[r.ID] = &[2]pace{{rate: r.Rate}, {rate: r.Rate}}
		}
	}
	for id := range p.counts {
		if !there[id] {
			delete(p.counts, id)
			delete(p.pace, id)
			delete(p.taps, id)
		}
	}
	for c := range p.conns {
		ids := p.effectLocked(c.to).ids
		if !slices.Equal(ids, c.ids) {
			c.ids = ids
			for _, l := range c.lines {
				l.hurry() // what waits by rules that changed waits no longer
			}
		}
		if c.tap != nil && p.taps[c.tap.of.id] != c.tap.of {
			c.tap.detach()
		}
		if len(ids) > 0 {
			c.expire(time.Time{})
		} else if c.expires.IsZero() {
			c.expire(time.Now().Add(agent.Drain))
			p.wg.Go(c.leave)
		}
	}
}

func covers(r *agent.Rule, to netip.AddrPort) bool {
	if r.Port != 0 && r.Port != to.Port() {
		return false
	}
	return r.All || slices.ContainsFunc(r.To, func(p netip.Prefix) bool { return p.Contains(to.Addr()) })
}

func (p *proxy) effectOf(to netip.AddrPort) effect {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.effectLocked(to)
}

func (p *proxy) effectLocked(to netip.AddrPort) effect {
	var e effect
	for i := range p.rules {
		r := &p.rules[i]
		if !covers(r, to) {
			continue
		}
		e.ids = append(e.ids, r.ID)
		if r.Does == agent.Tap && e.tap == nil {
			e.tap = p.taps[r.ID]
		}
		e.delay += r.Delay
		e.jitter += r.Jitter
		e.reset = max(e.reset, r.Reset)
		if pace := p.pace[r.ID]; pace != nil {
			e.paces = append(e.paces, pace)
		}
	}
	return e
}

func (p *proxy) accept(l *net.TCPListener) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(50 * time.Millisecond) // no more files, most likely
			continue
		}
		to, err := meantFor(c)
		if err != nil || to.Port() == p.port && to.Addr().IsLoopback() {
			_ = c.SetLinger(0)
			_ = c.Close() // nobody was redirected here
			continue
		}
		p.wg.Go(func() { p.serve(c, to) })
	}
}

// meantFor is where a redirected connection was meant to go.
func meantFor(c *net.TCPConn) (to netip.AddrPort, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return to, err
	}
	is4 := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().Is4()
	const originalDst = 80 // SO_ORIGINAL_DST, and IP6T_SO_ORIGINAL_DST
	ctl := raw.Control(func(fd uintptr) {
		if is4 {
			var a unix.RawSockaddrInet4
			if err = getsockopt(fd, unix.SOL_IP, originalDst, unsafe.Pointer(&a),
				unsafe.Sizeof(a)); err == nil {
				to = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(a.Port))
			}
			return
		}
		var a unix.RawSockaddrInet6
		if err = getsockopt(fd, unix.SOL_IPV6, originalDst, unsafe.Pointer(&a), unsafe.Sizeof(a)); err == nil {
			to = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), port(a.Port))
		}
	})
	return to, errors.Join(ctl, err)
}

func getsockopt(fd uintptr, level, name int, into unsafe.Pointer, size uintptr) error {
	n := uint32(size)
	if _, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, uintptr(level), uintptr(name), uintptr(into),
		uintptr(unsafe.Pointer(&n)), 0); e != 0 {
		return e
	}
	return nil
}

// port reads a port in the order of the network.
func port(raw uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&raw))
	return uint16(b[0])<<8 | uint16(b[1])
}

// markedDialer opens connections that the agent's own rules leave alone.
var markedDialer = net.Dialer{Timeout: 2 * time.Minute, Control: func(_, _ string, raw syscall.RawConn) error {
	var err error
	if ctl := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, markOwn)
	}); ctl != nil {
		return ctl
	}
	return err
}}

// conn is one connection through the proxy.
type conn struct {
	to             netip.AddrPort
	caller, callee *net.TCPConn
	lines          [2]*line    // to the callee, and back
	tap            *tapConn    // nil: not tapped
	over           atomic.Bool // nothing goes through it any more
	cut            atomic.Bool // by us: what it waits for does not count against the callee
	back           sync.Mutex  // held from where bytes of the callee are followed until they are in their line

	// Guarded by proxy.mu:
	ids     []string  // of the rules that it goes by
	expires time.Time // zero: never
	timer   *time.Timer
}

// expire has both ends reset at a time, or no more. Callers hold proxy.mu.
func (c *conn) expire(at time.Time) {
	c.expires = at
	if c.timer != nil {
		c.timer.Stop()
	}
	if !at.IsZero() {
		c.timer = time.AfterFunc(time.Until(at), func() { c.cut.Store(true); c.reset() })
	}
}

// reset ends both ends at once, and lets them know.
func (c *conn) reset() {
	for _, end := range []*net.TCPConn{c.caller, c.callee} {
		if end != nil {
			_ = end.SetLinger(0)
			_ = end.Close()
		}
	}
}

// serve connects a caller with its callee until both have said all.
func (p *proxy) serve(caller *net.TCPConn, to netip.AddrPort) {
	c := &conn{to: to, caller: caller}
	defer c.reset()
	began := time.Now()
	callee, err := markedDialer.Dial("tcp", to.String())
	if err != nil {
		if e := p.effectOf(to); e.tap != nil {
			e.tap.refused(began, time.Now(), err)
		}
		return // refused or not reached: so is the caller
	}
	p.mu.Lock()
	c.callee = callee.(*net.TCPConn)
	c.lines = [2]*line{newLine(c.callee), newLine(caller)}
	e := p.effectLocked(to)
	c.ids = e.ids
	if p.closed && len(e.ids) == 0 {
		p.mu.Unlock()
		return
	}
	for _, id := range e.ids {
		p.counts[id].Conns++
	}
	if e.tap != nil {
		c.tap = e.tap.open(func() bool { return holds(caller.RemoteAddr(), net.TCPAddrFromAddrPort(to)) })
	}
	p.conns[c] = struct{}{}
	if len(e.ids) == 0 {
		c.expire(time.Now().Add(agent.Drain))
	}
	p.mu.Unlock()
	defer func() {
		c.over.Store(true)
		p.mu.Lock()
		delete(p.conns, c)
		c.expire(time.Time{})
		p.mu.Unlock()
	}()
	if e.reset > 0 && rand.Float64() < e.reset {
		var one [1]byte
		_, _ = caller.Read(one[:]) // as soon as it sends; an end is as good
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(c, c.callee, caller, 0) })
	both.Go(func() { p.copy(c, caller, c.callee, 1) })
	both.Wait()
}

// chunk is how much is read at once, in bytes.
const chunk = 32 << 10

// copy moves one direction: 0 is to the callee, 1 back.
func (p *proxy) copy(c *conn, to, from *net.TCPConn, direction int) {
	q := c.lines[direction]
	defer q.close()
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.pass(c, q, buf[:n], direction) {
				c.reset()
				return
			}
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			c.tap.ended(direction, c.cut.Load(), time.Now())
			q.drain()
			_ = to.CloseWrite()
		default:
			c.tap.ended(direction, c.cut.Load(), time.Now())
			c.reset() // it was reset: so is the other end
		}
		return
	}
}

// pass sends on what came from one end; false: the other end does not take it.
func (p *proxy) pass(c *conn, q *line, data []byte, direction int) bool {
	now := time.Now()
	e := p.effectOf(c.to)
	p.count(e.ids, len(data))
	if direction == 1 {
		c.back.Lock()
		defer c.back.Unlock()
	}
	return !c.tap.passed(direction, data, now) || e.send(q, data, direction, now) == nil
}

// send puts data into a line, to be due as the effect wants it.
func (e *effect) send(q *line, data []byte, direction int, now time.Time) error {
	due := now
	if direction == 0 {
		due = due.Add(e.delay)
		if e.jitter > 0 {
			due = due.Add(rand.N(e.jitter))
		}
	}
	if len(e.paces) == 0 {
		return q.send(data, due, held)
	}
	piece, limit := len(data), held
	for _, pace := range e.paces {
		// A twentieth of a second at a time: much less than a person or a timeout notices.
		piece = min(piece, max(int(pace[direction].rate/8/20), 256))
		limit = min(limit, max(4*piece, 8<<10))
	}
	for len(data) > 0 {
		n := min(piece, len(data))
		for _, pace := range e.paces {
			if d := pace[direction].take(n, now); d.After(due) {
				due = d
			}
		}
		if err := q.send(data[:n], due, limit); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (p *proxy) count(ids []string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if c := p.counts[id]; c != nil {
			c.Bytes += int64(n)
		}
	}
}

// close takes no more connections. Those that exist go on for agent.Drain; wait returns when none is left.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, l := range p.listeners {
		_ = l.Close()
	}
}

func (p *proxy) wait() { p.wg.Wait() }

// counted returns the counts of all rules.
func (p *proxy) counted() []agent.Count {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []agent.Count
	for _, c := range p.counts {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b agent.Count) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// seen returns what is new of all taps.
func (p *proxy) seen(now time.Time) (out []agent.Seen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.taps {
		if s, some := t.tell(now); some {
			out = append(out, s)
		}
	}
	return out
}

// ours are the local ports of the connections that go through the proxy.
func (p *proxy) ours() map[uint16]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[uint16]bool{}
	for c := range p.conns {
		out[uint16(c.callee.LocalAddr().(*net.TCPAddr).Port)] = true
		out[uint16(c.caller.RemoteAddr().(*net.TCPAddr).Port)] = true
	}
	return out
}

// leaving is how long a caller may take to notice that its connection ended, before the agent forgets
// it, and that it is asked to open another one, before it may end.
const leaving = 2 * time.Second

// askToLeave asks the caller of an HTTP/2 connection to open another one for its next requests, and
// says whether it did now.
func (c *conn) askToLeave() bool {
	c.back.Lock()
	defer c.back.Unlock()
	bye := c.tap.farewell()
	return bye != "" && c.lines[1].send([]byte(bye), time.Now(), held) == nil
}

// leave closes a connection that no rule is about any more once nobody waits for anything on it, so
// that who keeps it for later opens a new one, which goes direct. Both ends get an orderly end; what
// the caller has just sent is read first, since a socket closed before that resets its connection.
func (c *conn) leave() {
	if c.tap == nil {
		return
	}
	// nothing tells when nobody waits any more, nor when both ends have gone
	const often = 200 * time.Millisecond
	until, asked, left := time.Now().Add(agent.Drain), time.Time{}, false
	for ; time.Now().Before(until) && !c.over.Load(); time.Sleep(often) {
		if c.askToLeave() {
			asked = time.Now()
		}
		if left || time.Since(asked) < leaving || !c.tap.leave() {
			continue
		}
		left, until = true, time.Now().Add(leaving)
		c.cut.Store(true)
		_ = c.callee.CloseWrite()
		_ = c.caller.CloseWrite()
	}
	if left {
		_ = c.caller.Close()
		_ = c.callee.Close()
	}
}
