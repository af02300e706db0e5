package fault

import (
	"slices"
	"time"

	"bulkhead/engine/agent"
	"bulkhead/engine/container"
)

// Scope says what a fault may be narrowed to.
type Scope uint8

const (
	ScopeUnknown Scope = iota
	ScopeService       // the service as a whole
	ScopeEdge          // the service, or one edge of it
)

// Need is what a fault cannot do without.
type Need uint8

const (
	NeedNothing Need = iota
	NeedPause        // container.Pauser
	NeedLimits       // container.Limiter
	NeedAgent        // container.AgentRunner, and the agent built into the program
	NeedNAT          // of the kernel: redirected connections
	NeedDrop         // of the kernel: packets dropped where the sender sees nothing
	NeedRandom       // of the kernel: a random choice of packets
	NeedNetem        // of the kernel: the queueing discipline netem
	NeedTBF          // of the kernel: the queueing discipline tbf
)

// Kind is one line of the catalogue.
type Kind struct {
	Name    string
	Value   string   // what stands behind "=", for people: "DURATION"; "" where nothing does
	Example string   // with a value that is worth a try
	Values  []string // that are worth a try, "" for none at all; nil where there is no choice
	Help    string
	Scope   Scope
	Needs   []Need

	optional bool // the value may be left out
	parse    func(value string, p *Params) error
	zero     func(p *Params) // sets what a value that was left out means; may be nil
	method   method
}

// Kinds is the catalogue, in the order in which menus and lists show it. Nobody writes to it. A new
// fault is a line here, and a method where it is done in a new way.
func Kinds() []Kind { return slices.Clone(kinds) }

// KindOf returns the line of a name, nil when there is none.
func KindOf(name string) *Kind {
	for i := range kinds {
		if kinds[i].Name == name {
			return &kinds[i]
		}
	}
	return nil
}

var kinds = makeKinds()

func makeKinds() []Kind {
	delay := parseDelay(func(p *Params) *time.Duration { return &p.Delay })
	jitter := parseDelay(func(p *Params) *time.Duration { return &p.Jitter })
	return []Kind{
		{Name: "kill", Example: "kill", Scope: ScopeService, method: life{begin: Kill, end: Start, signal: "SIGKILL"},
			Help: "SIGKILL; it stays down until the time is over"},
		{Name: "crash", Value: "SIGNAL", Example: "crash", Values: []string{"", "ABRT", "BUS"}, Scope: ScopeService, optional: true, parse: parseCrash,
			zero: func(p *Params) { p.Signal = "SIGSEGV" }, method: crash{life{begin: Kill}},
			Help: "a fatal signal: the restart policy acts"},
		{Name: "signal", Value: "SIGNAL", Example: "signal=HUP", Values: []string{"HUP", "USR1", "USR2", "TERM", "INT", "QUIT"}, Scope: ScopeService, parse: parseSignal, method: life{begin: Kill, end: Start},
			Help: "any signal; what it ends is started when the time is over"},
		{Name: "stop", Example: "stop", Scope: ScopeService, method: life{begin: Stop, end: Start},
			Help: "with its stop signal and grace"},
		{Name: "pause", Example: "pause", Scope: ScopeService, Needs: []Need{NeedPause}, method: life{begin: Pause, end: Unpause},
			Help: "it hangs: connections stay open, nothing answers"},
		{Name: "cpu", Value: "CORES", Example: "cpu=0.1", Values: []string{"0.1", "0.05", "0.2", "0.5", "1"}, Scope: ScopeService, Needs: []Need{NeedLimits}, parse: parseCPUs, method: limit{},
			Help: "no more CPU time than that"},
		{Name: "memory", Value: "BYTES", Example: "memory=64m", Values: []string{"64m", "32m", "128m", "256m", "512m"}, Scope: ScopeService, Needs: []Need{NeedLimits}, parse: parseMemory, method: limit{},
			Help: "no more memory than that; what needs more is killed"},
		{Name: "partition", Value: "both", Example: "partition", Values: []string{"", "both"}, Scope: ScopeEdge, Needs: []Need{NeedAgent, NeedDrop}, optional: true, parse: parseBoth, method: traffic{does: agent.Partition, rule: func(p Params, r *agent.Rule) { r.Both = p.Both }},
			Help: "packets vanish: calls hang until they time out"},
		{Name: "latency", Value: "DURATION", Example: "latency=500ms", Values: []string{"500ms", "50ms", "100ms", "200ms", "1s", "2s", "5s"}, Scope: ScopeEdge, Needs: []Need{NeedAgent, NeedNAT}, parse: delay, method: proxied("delayed", func(p Params, r *agent.Rule) { r.Delay = p.Delay }),
			Help: "each round trip of new TCP connections takes so much longer"},
		{Name: "jitter", Value: "DURATION", Example: "jitter=200ms", Values: []string{"200ms", "50ms", "100ms", "500ms", "1s"}, Scope: ScopeEdge, Needs: []Need{NeedAgent, NeedNAT}, parse: jitter, method: proxied("delayed", func(p Params, r *agent.Rule) { r.Jitter = p.Jitter }),
			Help: "each round trip takes longer at random, at most so much"},
		{Name: "bandwidth", Value: "BITS", Example: "bandwidth=1mbit", Values: []string{"1mbit", "64kbit", "256kbit", "5mbit", "10mbit"}, Scope: ScopeEdge, Needs: []Need{NeedAgent, NeedNAT}, parse: parseRate, method: proxied("slowed", func(p Params, r *agent.Rule) { r.Rate = p.Rate }),
			Help: "bits a second, per direction, all connections together"},
		{Name: "reset", Value: "SHARE", Example: "reset", Values: []string{"", "10%", "30%", "50%"}, Scope: ScopeEdge, Needs: []Need{NeedAgent, NeedNAT}, optional: true, parse: parseShare,
			zero: func(p *Params) { p.Share = 1 }, method: proxied("reset", func(p Params, r *agent.Rule) { r.Reset = p.Share }),
			Help: "new TCP connections are reset as soon as they send"},
		{Name: "loss", Value: "SHARE", Example: "loss=10%", Values: []string{"10%", "1%", "5%", "25%", "50%", "100%"}, Scope: ScopeEdge, Needs: []Need{NeedAgent, NeedDrop, NeedRandom}, parse: parseShare, method: traffic{does: agent.Lose, rule: func(p Params, r *agent.Rule) { r.Share = p.Share }},
			Help: "packets of any protocol vanish, each way"},
		{Name: "dns", Value: "ANSWER[:NAME]", Example: "dns=nxdomain", Values: []string{"nxdomain", "servfail", "silence"}, Scope: ScopeService, Needs: []Need{NeedAgent, NeedNAT}, optional: true, parse: parseAnswer,
			zero: func(p *Params) { p.Answer = answers[0] }, method: traffic{does: agent.Resolve, rule: func(p Params, r *agent.Rule) { r.Answer, r.Name = p.Answer, p.Name }},
			Help: "its questions for names get nxdomain, servfail or silence"},
		{Name: "delay", Value: "DURATION", Example: "delay=100ms", Values: []string{"100ms", "50ms", "200ms", "500ms", "1s"}, Scope: ScopeService, Needs: []Need{NeedAgent, NeedNetem}, parse: delay, method: traffic{does: agent.Queue, rule: func(p Params, r *agent.Rule) { r.Delay = p.Delay }},
			Help: "every packet that it sends waits, of UDP too (netem)"},
		{Name: "shape", Value: "BITS", Example: "shape=1mbit", Values: []string{"1mbit", "64kbit", "256kbit", "5mbit", "10mbit"}, Scope: ScopeService, Needs: []Need{NeedAgent, NeedTBF}, parse: parseRate, method: traffic{does: agent.Shape, rule: func(p Params, r *agent.Rule) { r.Rate = p.Rate }},
			Help: "a queue (tbf) of so many bits a second for what it sends"},
	}
}

// proxied is a fault that the agent's proxy does to new TCP connections; those from before are not
// what spares says.
func proxied(spares string, rule func(Params, *agent.Rule)) traffic {
	return traffic{does: agent.Proxy, callers: true, spares: spares, rule: rule}
}

func names() []string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.Name)
	}
	return out
}

// Lacking says why a fault is not possible with what the runtime can do, "" when it is. What the
// kernel can do is found out by the agent, once it runs: see Support.Offer.
func (k *Kind) Lacking(caps container.Caps) string {
	for _, n := range k.Needs {
		switch {
		case n == NeedPause && !caps.Pause:
			return "this runtime cannot pause containers"
		case n == NeedLimits && !caps.Limits:
			return "this runtime cannot change limits of running containers"
		case n == NeedAgent && !caps.Agent:
			return "this runtime cannot run the agent in a container's network"
		}
	}
	return ""
}
