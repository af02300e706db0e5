package netns

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkhead/engine/agent"
)

const (
	table = "bulkhead"
	// markOwn is on what the agent sends itself, so that it is not redirected to the agent.
	markOwn = 0xb17c0001
	// markDrop is on packets that are dropped at egress, where the sender sees nothing: in the
	// output hook a dropped datagram is an error to whoever sent it.
	markDrop = 0xb17c0002
	loopback = 1 // index of lo in every network namespace
	// beforeResolver is just before the priority at which the engine's own rules send questions to
	// 127.0.0.11 elsewhere: after them the port is not 53 any more.
	beforeResolver = -101
)

// ports are where the agent listens; 0 where it does not.
type ports struct{ proxy, dnsUDP, dnsTCP uint16 }

// ruleset is the agent's tables on their way to the kernel, which takes all of them or none.
type ruleset struct {
	c            *nftables.Conn
	t            *nftables.Table
	nat, out, in *nftables.Chain
	sets         int
	drops        bool // something is marked, and has to be dropped at egress
	ports        ports
}

// install puts rules in the place of those that are there; without rules nothing is left.
func install(rules []agent.Rule, at ports) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	for _, family := range []nftables.TableFamily{nftables.TableFamilyINet, nftables.TableFamilyNetdev} {
		t := c.AddTable(&nftables.Table{Family: family, Name: table}) // so that there is one to remove
		c.DelTable(t)
	}
	s := &ruleset{c: c, ports: at}
	for i := range rules {
		if err := s.add(&rules[i]); err != nil {
			return err
		}
	}
	if s.drops {
		if err := s.dropAtEgress(); err != nil {
			return err
		}
	}
	return c.Flush()
}

// chains makes the table that the other rules stand in.
func (s *ruleset) chains() {
	if s.t != nil {
		return
	}
	s.t = s.c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: table})
	s.nat = s.c.AddChain(&nftables.Chain{Name: "nat", Table: s.t, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityRef(beforeResolver)})
	s.out = s.c.AddChain(&nftables.Chain{Name: "out", Table: s.t, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter})
	s.in = s.c.AddChain(&nftables.Chain{Name: "in", Table: s.t, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter})
}

func (s *ruleset) add(r *agent.Rule) error {
	switch r.Does {
	case agent.Partition, agent.Lose, agent.Proxy, agent.Tap, agent.Resolve:
		s.chains()
	default:
		return nil
	}
	if r.Does == agent.Resolve {
		s.resolve()
		return nil
	}
	there, err := s.matches(r, false)
	if err != nil {
		return err
	}
	back, err := s.matches(r, true)
	if err != nil {
		return err
	}
	switch r.Does {
	case agent.Proxy, agent.Tap:
		for _, m := range there {
			s.rule(s.nat, notOwn(), m, l4(unix.IPPROTO_TCP), dport(r.Port, 2), redirect(s.ports.proxy))
		}
	case agent.Partition:
		direction := func(d byte) []expr.Any {
			if r.Both || r.All {
				return nil
			}
			return []expr.Any{&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1},
				&expr.Cmp{Register: 1, Data: []byte{d}}}
		}
		s.drop(r, there, direction(0), back, direction(1))
	case agent.Lose:
		some := chance(r.Share)
		s.drop(r, there, some, back, some)
	}
	return nil
}

// drop drops what matches: on its way out at egress, on its way in at once.
func (s *ruleset) drop(
	r *agent.Rule, there [][]expr.Any, outIf []expr.Any, back [][]expr.Any, inIf []expr.Any,
) {
	s.drops = true
	for _, m := range there {
		s.rule(s.out, neighbours(r), m, dport(r.Port, 2), outIf, mark(markDrop))
	}
	for _, m := range back {
		s.rule(s.in, neighbours(r), m, dport(r.Port, 0), inIf,
			[]expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}})
	}
}

// resolve brings all questions for names to the agent, whichever resolver they are meant for.
func (s *ruleset) resolve() {
	s.rule(s.nat, notOwn(), l4(unix.IPPROTO_UDP), dport(53, 2), redirect(s.ports.dnsUDP))
	s.rule(s.nat, notOwn(), l4(unix.IPPROTO_TCP), dport(53, 2), redirect(s.ports.dnsTCP))
}

// dropAtEgress drops what is marked on every interface but loopback.
func (s *ruleset) dropAtEgress() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the interfaces: %w", err)
	}
	t := s.c.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: table})
	for _, l := range links {
		if l.Attrs().Index == loopback {
			continue
		}
		chain := s.c.AddChain(&nftables.Chain{Name: fmt.Sprintf("egress%d", l.Attrs().Index),
			Table: t, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookEgress, Priority: nftables.ChainPriorityFilter, Device: l.Attrs().Name})
		s.c.AddRule(&nftables.Rule{Table: t, Chain: chain,
			Exprs: slices.Concat(marked(expr.CmpOpEq, markDrop),
				[]expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}})})
	}
	return nil
}

func (s *ruleset) rule(c *nftables.Chain, parts ...[]expr.Any) {
	s.c.AddRule(&nftables.Rule{Table: s.t, Chain: c, Exprs: slices.Concat(parts...)})
}

// matches returns one match for each family of addresses that a rule is about: of where packets go,
// or with source of where they come from.
func (s *ruleset) matches(r *agent.Rule, source bool) ([][]expr.Any, error) {
	if r.All {
		key := expr.MetaKeyOIF
		if source {
			key = expr.MetaKeyIIF
		}
		return [][]expr.Any{{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq,
			Register: 1, Data: binaryutil.NativeEndian.PutUint32(loopback)}}}, nil
	}
	var out [][]expr.Any
	for _, f := range []struct {
		proto    byte
		key      nftables.SetDatatype
		src, dst uint32 // offsets in the header
		is4      bool
	}{{unix.NFPROTO_IPV4, nftables.TypeIPAddr, 12, 16, true},
		{unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 8, 24, false}} {
		var of []netip.Prefix
		for _, p := range r.To {
			if p.Addr().Is4() == f.is4 {
				of = append(of, p.Masked())
			}
		}
		if len(of) == 0 {
			continue
		}
		s.sets++
		set := &nftables.Set{Table: s.t, Name: fmt.Sprintf("to%d", s.sets), KeyType: f.key,
			Interval: true, Constant: false}
		if err := s.c.AddSet(set, intervals(of)); err != nil {
			return nil, err
		}
		offset := f.dst
		if source {
			offset = f.src
		}
		out = append(out, []expr.Any{
			&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Register: 1, Data: []byte{f.proto}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset,
				Len: f.key.Bytes},
			&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
		})
	}
	return out, nil
}

// intervals are the elements of a set of prefixes, which must not overlap.
func intervals(of []netip.Prefix) []nftables.SetElement {
	slices.SortFunc(of, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var wide []netip.Prefix
	for _, p := range of {
		if !slices.ContainsFunc(wide, func(w netip.Prefix) bool { return w.Contains(p.Addr()) }) {
			wide = append(wide, p)
		}
	}
	var out []nftables.SetElement
	for _, p := range wide {
		out = append(out, nftables.SetElement{Key: p.Addr().AsSlice()})
		if end := after(p); end.IsValid() {
			out = append(out, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}
	return out
}

// after is the first address behind a prefix; not valid where there is none.
func after(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last.Next()
}

func notOwn() []expr.Any { return marked(expr.CmpOpNeq, markOwn) }

func marked(op expr.CmpOp, mark uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, &expr.Cmp{Op: op, Register: 1,
		Data: binaryutil.NativeEndian.PutUint32(mark)}}
}

func mark(m uint32) []expr.Any {
	return []expr.Any{&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(m)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}
}

func l4(proto byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Register: 1, Data: []byte{proto}}}
}

// dport matches a port at an offset of the transport header: 2 is where packets go, 0 where they
// come from. 0 matches all.
func dport(port uint16, offset uint32) []expr.Any {
	if port == 0 {
		return nil
	}
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader,
		Offset: offset, Len: 2},
		&expr.Cmp{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)}}
}

func redirect(to uint16) []expr.Any {
	return []expr.Any{&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(to)},
		&expr.Redir{RegisterProtoMin: 1}}
}

// neighbours leaves out, of a rule about all addresses, what IPv6 finds its neighbours with: as
// with ARP, a host that cannot be found is an error to the sender.
func neighbours(r *agent.Rule) []expr.Any {
	if !r.All {
		return nil
	}
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq,
		Register: 1, Data: []byte{unix.IPPROTO_ICMPV6}}}
}

// chance matches a share of all packets.
func chance(share float64) []expr.Any {
	const of = 100_000
	return []expr.Any{
		&expr.Numgen{Register: 1, Modulus: of, Type: unix.NFT_NG_RANDOM},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binaryutil.BigEndian.PutUint32(uint32(share * of))},
	}
}
