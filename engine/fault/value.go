package fault

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/engine/container"
)

const (
	// DefaultFor is how long a fault lasts that does not say so.
	DefaultFor = time.Minute
	// MaxFor is how long a fault may last at most: one that is forgotten must not look like a bug for a day.
	MaxFor = time.Hour
)

// Fault is one thing to do to a service on purpose, as it is asked for. It is a plain value: it can
// be compared, kept, and sent as JSON. Parse makes one from words.
type Fault struct {
	// ID tells it from all others; empty: the Injector makes one.
	ID   string `json:"id,omitempty"`
	Kind string `json:"kind"`            // the name of one of Kinds
	With string `json:"value,omitempty"` // its parameters as they were written: "500ms"

	Service string `json:"service"`           // the one that is hit
	Replica int    `json:"replica,omitempty"` // 0: all
	// From and To narrow a fault of the network to one edge: From to the calls of that service to
	// Service, To to the calls of Service to another service, or to an address outside of the
	// project (HOST, HOST:PORT, CIDR). At most one of them is set; none: all calls to Service.
	From string        `json:"from,omitempty"`
	To   string        `json:"to,omitempty"`
	For  time.Duration `json:"for,omitempty"`   // 0: DefaultFor
	Cut  bool          `json:"cut,omitempty"`   // connections that exist are cut, too
	Why  string        `json:"cause,omitempty"` // "you pressed F"
}

// Params are the parameters of a fault; each kind has its own, and leaves the others at zero.
type Params struct {
	Delay  time.Duration // of latency, delay
	Jitter time.Duration // of jitter, delay: at most so much more, at random
	Rate   int64         // of bandwidth, shape: bits a second, per direction
	Share  float64       // of loss, reset: of packets, of connections; 0 to 1
	Both   bool          // of partition: calls of the other direction, too
	Signal string        // of signal, crash
	Answer string        // of dns: nxdomain, servfail, silence
	Name   string        // of dns: the name that is asked for; "" for all
	CPUs   float64       // of cpu: cores
	Memory int64         // of memory: bytes
}

// Parse makes the fault that words name, as "latency=500ms", on a service. The error says what may
// stand there.
func Parse(words, service string) (Fault, error) {
	name, value, valued := strings.Cut(words, "=")
	f := Fault{Kind: strings.ToLower(strings.TrimSpace(name)), With: strings.TrimSpace(value), Service: service}
	k := KindOf(f.Kind)
	switch {
	case k == nil:
		return f, container.WithRemedy(container.Failed("fault "+words, "no such fault"),
			"there are %s", strings.Join(names(), ", "))
	case valued && k.Value == "":
		return f, container.Failed("fault "+words, "%s takes no value", k.Name)
	case f.With == "" && k.Value != "" && !k.optional:
		return f, container.WithRemedy(container.Failed("fault "+words, "it needs a value"),
			"write %s", k.Example)
	}
	_, err := f.Params()
	return f, err
}

// Check says what is wrong with a fault as a whole: its kind, its value, its edge and its time.
func (f *Fault) Check() error {
	k := KindOf(f.Kind)
	if k == nil {
		_, err := Parse(f.Kind, f.Service)
		return err
	}
	if _, err := f.Params(); err != nil {
		return err
	}
	switch {
	case f.Service == "":
		return container.Failed("fault "+f.Words(), "name a service")
	case f.For < 0 || f.For > MaxFor:
		return container.Failed("fault "+f.Words(), "it may last between a moment and %s",
			container.Brief(MaxFor))
	case k.Scope == ScopeService && (f.From != "" || f.To != ""):
		return container.Failed("fault "+f.Words(), "%s is of the whole service, not of one edge", k.Name)
	case f.From != "" && f.To != "":
		return container.Failed("fault "+f.Words(),
			"an edge has the service at one end; write --from or --to, not both")
	case f.From != "" && f.From == f.Service || f.To != "" && f.To == f.Service:
		return container.Failed("fault "+f.Words(), "the edge leads from %s to itself", f.Service)
	}
	return nil
}

// Words are the fault as Parse reads it: "latency=500ms".
func (f *Fault) Words() string {
	if f.With == "" {
		return f.Kind
	}
	return f.Kind + "=" + f.With
}

// Edge names where it is: "orders", "gateway → orders", "orders/2".
func (f *Fault) Edge() string {
	at := f.Service
	if f.Replica > 0 {
		at = fmt.Sprintf("%s/%d", at, f.Replica)
	}
	switch {
	case f.From != "":
		return f.From + " → " + at
	case f.To != "":
		return at + " → " + f.To
	}
	return at
}

// String is the fault in a few words: "latency=500ms gateway → orders".
func (f *Fault) String() string { return f.Words() + " " + f.Edge() }

// Lasts is how long it lasts.
func (f *Fault) Lasts() time.Duration {
	if f.For == 0 {
		return DefaultFor
	}
	return f.For
}

// Params reads its parameters.
func (f *Fault) Params() (Params, error) {
	var p Params
	k := KindOf(f.Kind)
	if k == nil {
		return p, container.Failed("fault "+f.Kind, "no such fault")
	}
	if k.parse == nil || f.With == "" && k.optional {
		if k.zero != nil {
			k.zero(&p)
		}
		return p, nil
	}
	if err := k.parse(f.With, &p); err != nil {
		return p, container.WithRemedy(container.Failed("fault "+f.Words(), "%v", err), "write %s", k.Example)
	}
	return p, nil
}

// parseDelay reads a duration of latency or jitter.
func parseDelay(into func(*Params) *time.Duration) func(string, *Params) error {
	return func(value string, p *Params) error {
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%q is not a duration", value)
		}
		if d <= 0 || d > time.Minute {
			return fmt.Errorf("it may be between a moment and one minute")
		}
		*into(p) = d
		return nil
	}
}

// rateUnits are in bits a second; the longest come first, because the others are their ends.
var rateUnits = []struct {
	unit string
	bits float64
}{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}, {"gbps", 1e9}, {"mbps", 1e6},
	{"kbps", 1e3}, {"bps", 1}}

// parseRate reads bits a second: "1mbit", "500kbit", "2mbps".
func parseRate(value string, p *Params) error {
	text, bits := strings.ToLower(value), 0.0
	text = strings.TrimSuffix(text, "/s")
	for _, u := range rateUnits {
		if n, ok := strings.CutSuffix(text, u.unit); ok {
			text, bits = strings.TrimSpace(n), u.bits
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || bits == 0 || math.IsNaN(n) {
		return fmt.Errorf("%q is not a number of bits a second with its unit", value)
	}
	if n *= bits; n < 8e3 || n > 100e9 {
		return fmt.Errorf("it may be between 8kbit and 100gbit a second")
	}
	p.Rate = int64(n)
	return nil
}

// parseShare reads "10%".
func parseShare(value string, p *Params) error {
	text, percent := strings.CutSuffix(value, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !percent || math.IsNaN(n) {
		return fmt.Errorf("%q is not a share in percent", value)
	}
	if n < 0.1 || n > 100 {
		return fmt.Errorf("it may be between 0.1%% and 100%%")
	}
	p.Share = n / 100
	return nil
}

func parseBoth(value string, p *Params) error {
	if value != "both" {
		return fmt.Errorf("%q is not a direction", value)
	}
	p.Both = true
	return nil
}

// answers are what a faulty resolver does.
var answers = []string{"nxdomain", "servfail", "silence"}

// parseAnswer reads "nxdomain", or with a name "nxdomain:orders".
func parseAnswer(value string, p *Params) error {
	p.Answer, p.Name, _ = strings.Cut(value, ":")
	p.Answer = strings.ToLower(p.Answer)
	p.Name = strings.TrimSuffix(strings.ToLower(p.Name), ".")
	if !slices.Contains(answers, p.Answer) {
		return fmt.Errorf("%q is not one of %s", p.Answer, strings.Join(answers, ", "))
	}
	return nil
}

func parseSignal(value string, p *Params) error {
	name := strings.TrimPrefix(strings.ToUpper(value), "SIG")
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' && r != '-'
	}) {
		return fmt.Errorf("%q is not a signal", value)
	}
	p.Signal = name
	if _, err := strconv.Atoi(name); err != nil {
		p.Signal = "SIG" + name
	}
	return nil
}

// fatal are the signals that end a process which does not handle them, other than those that keep
// restart policies idle.
var fatal = []string{"SIGSEGV", "SIGABRT", "SIGQUIT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP",
	"SIGSYS", "SIGHUP", "SIGINT", "SIGPIPE", "SIGALRM", "SIGUSR1", "SIGUSR2"}

func parseCrash(value string, p *Params) error {
	if err := parseSignal(value, p); err != nil {
		return err
	}
	if !slices.Contains(fatal, p.Signal) {
		return fmt.Errorf("%s is no crash: one of %s is", p.Signal, strings.Join(fatal[:6], ", "))
	}
	return nil
}

func parseCPUs(value string, p *Params) error {
	n, err := strconv.ParseFloat(value, 64)
	if percent, ok := strings.CutSuffix(value, "%"); ok {
		n, err = strconv.ParseFloat(percent, 64)
		n /= 100
	}
	if err != nil || math.IsNaN(n) {
		return fmt.Errorf("%q is not a number of cores", value)
	}
	if n < 0.01 || n > 1000 {
		return fmt.Errorf("it may be 0.01 or more cores")
	}
	p.CPUs = n
	return nil
}

// memoryUnits are in bytes; the longest come first, because the others are their ends.
var memoryUnits = []struct {
	unit  string
	bytes float64
}{{"gib", 1 << 30}, {"mib", 1 << 20}, {"kib", 1 << 10}, {"gb", 1 << 30}, {"mb", 1 << 20},
	{"kb", 1 << 10}, {"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"b", 1}}

func parseMemory(value string, p *Params) error {
	text, bytes := strings.ToLower(value), 1.0
	for _, u := range memoryUnits {
		if n, ok := strings.CutSuffix(text, u.unit); ok {
			text, bytes = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) {
		return fmt.Errorf("%q is not an amount of memory", value)
	}
	if n *= bytes; n < 6<<20 || n > 1<<50 { // the engine takes no less than 6 MB
		return fmt.Errorf("it may be 6m or more")
	}
	p.Memory = int64(n)
	return nil
}

// outside reads what To names when it is no service: an address with or without a port, or a range
// of addresses. A name is resolved by whoever calls it.
func outside(to string) (prefix netip.Prefix, port uint16, ok bool) {
	if p, err := netip.ParsePrefix(to); err == nil {
		return p.Masked(), 0, true
	}
	if a, err := netip.ParseAddrPort(to); err == nil {
		return netip.PrefixFrom(a.Addr().Unmap(), a.Addr().Unmap().BitLen()), a.Port(), true
	}
	if a, err := netip.ParseAddr(strings.Trim(to, "[]")); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), 0, true
	}
	return netip.Prefix{}, 0, false
}
