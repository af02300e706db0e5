package project

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// extensionKey is where everything of bulkhead's sits in a service.
const extensionKey = "x-bulkhead"

// Swap is how a new generation takes over from the one before.
type Swap int

// The ways to swap. A loaded service has Replace or Overlap.
const (
	UnknownSwap Swap = iota
	Replace          // stop the old one, then start the new one
	Overlap          // the new one is ready before the old one stops
)

// String returns the spelling in x-bulkhead.
func (s Swap) String() string { return spelling(swapNames(), int(s)) }

// WatchMode is what a service does with changed files at start.
type WatchMode int

// The watch modes. A loaded service has one of the last three.
const (
	UnknownWatch WatchMode = iota
	Auto                   // carry out the rules
	Manual                 // mark as stale, wait for a key
	Off                    // do nothing
)

// String returns the spelling in x-bulkhead.
func (m WatchMode) String() string { return spelling(watchNames(), int(m)) }

// SyncOwner is to whom a file belongs that a sync puts into the container.
type SyncOwner int

// The owners. A loaded service has TargetOwner or HostOwner.
const (
	UnknownOwner SyncOwner = iota
	TargetOwner            // the user that the service runs as; where that is root, to whom the target belongs
	HostOwner              // the numbers that the file has on the host
)

// String returns the spelling in x-bulkhead.
func (o SyncOwner) String() string { return spelling(ownerNames(), int(o)) }

// RestartScope is what a restart of a service restarts.
type RestartScope int

// What is restarted. A loaded service has one of the last two.
const (
	UnknownScope   RestartScope = iota
	ContainerScope              // the container
	ProcessScope                // only its program: the agent is process 1
)

// String returns the spelling in x-bulkhead.
func (r RestartScope) String() string { return spelling(restartNames(), int(r)) }

func restartNames() []string { return []string{"unknown", "container", "process"} }

func ownerNames() []string { return []string{"unknown", "target", "host"} }
func swapNames() []string  { return []string{"unknown", "replace", "overlap"} }
func watchNames() []string { return []string{"unknown", "auto", "manual", "off"} }

func spelling(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return names[0]
	}
	return names[i]
}

// Extra is a service's x-bulkhead.
type Extra struct {
	Prepare    *Prepare  // nil: nothing runs on the host
	Probe      string    // URL with scheme http, https or tcp; "" when there is none
	MayDegrade []Degrade // who may suffer from this service's faults; sorted by service
	Calls      []string  // services that it calls beside those in depends_on; sorted
	Swap       Swap
	Restart    RestartScope
	Watch      WatchMode
	SyncOwner  SyncOwner
	Alerts     []string // regular expressions of log lines that ring and count: the project's, then its own
}

// Degrade is a service that may suffer when another one is down: it may see more errors than before,
// within the bounds, and must stay alive and healthy.
type Degrade struct {
	Service string        // of the project, enabled or not
	Errors  float64       // share of its requests that may fail; 1 where the file sets no bound
	P95     time.Duration // within which 95 % of its requests are answered; 0: no bound
}

// Prepare is a command that runs on the host, in the project folder, before a build or a sync.
type Prepare struct {
	Run   string            // a shell command, never empty
	Env   map[string]string // over the environment of the process
	Watch []string          // absolute files and folders; a change in one runs the command

	written string // Run before the blanks around it were cut off
}

// decoder reads one service's x-bulkhead. The first thing that is wrong is kept in err.
type decoder struct {
	sources *sources
	links   *links
	service string
	err     *LoadError
}

// extra decodes value; all are the names of all services, sorted.
func (d *decoder) extra(value any, all []string) (Extra, error) {
	e := Extra{Swap: Replace, Restart: ContainerScope, Watch: Auto, SyncOwner: TargetOwner}
	m := d.mapping(value, nil, "prepare", "probe", "may_degrade", "calls", "swap", "restart", "watch",
		"sync_owner", "alerts")
	e.Alerts = d.alerts(m["alerts"])
	if v, ok := m["prepare"]; ok {
		e.Prepare = d.prepare(v)
	}
	if v, ok := m["probe"]; ok {
		e.Probe = d.probe(d.text(v, "probe"))
	}
	if v, ok := m["swap"]; ok {
		e.Swap = Swap(d.choice(v, swapNames(), "swap"))
	}
	if v, ok := m["restart"]; ok {
		e.Restart = RestartScope(d.choice(v, restartNames(), "restart"))
	}
	if v, ok := m["watch"]; ok {
		e.Watch = WatchMode(d.choice(v, watchNames(), "watch"))
	}
	if v, ok := m["sync_owner"]; ok {
		e.SyncOwner = SyncOwner(d.choice(v, ownerNames(), "sync_owner"))
	}
	e.MayDegrade = d.degrades(m["may_degrade"], all)
	for i, name := range d.texts(m["calls"], "calls") {
		d.known(name, all, "calls", strconv.Itoa(i))
		e.Calls = append(e.Calls, name)
	}
	slices.Sort(e.Calls)
	e.Calls = slices.Compact(e.Calls)
	if d.err != nil {
		return Extra{}, d.err
	}
	return e, nil
}

// canRestartProgram refuses what makes it impossible that the agent is process 1 of a container.
func (d *decoder) canRestartProgram(s *Service) error {
	if s.Extra.Restart != ProcessScope {
		return nil
	}
	const take = "take one of the two away"
	switch c := s.Config; {
	case c.Init != nil && *c.Init:
		d.fail("restart: process cannot be with init: true, which has another program as process 1",
			take, "restart")
	case c.Pid != "":
		d.fail("restart: process cannot be with pid: "+c.Pid+": process 1 is not the container's own",
			take, "restart")
	case s.Provided():
		d.fail("restart: process cannot be with provider:, which has no container", take, "restart")
	}
	if d.err != nil {
		return d.err
	}
	return nil
}

// alerts reads patterns of log lines.
func (d *decoder) alerts(value any) []string {
	var out []string
	for i, pattern := range d.texts(value, "alerts") {
		if _, err := regexp.Compile(pattern); err != nil {
			d.fail(fmt.Sprintf("%q is not a regular expression: %v", pattern, err),
				`write one as "panic|FATAL"`, "alerts", strconv.Itoa(i))
		}
		out = append(out, pattern)
	}
	return out
}

// projectAlerts are the alerts of the whole project: x-bulkhead at the top of the file.
func projectAlerts(top any) []string {
	m, _ := top.(map[string]any)
	list, _ := m["alerts"].([]any)
	var out []string
	for _, v := range list {
		if text, ok := v.(string); ok {
			if _, err := regexp.Compile(text); err == nil {
				out = append(out, text)
			}
		}
	}
	return out
}

// known refuses a name that no service has.
func (d *decoder) known(name string, all []string, path ...string) {
	if !slices.Contains(all, name) {
		d.fail(fmt.Sprintf("no service %q", name),
			orNearest(name, all, "name a service of the Compose file"), path...)
	}
}

// degrades reads may_degrade: services, some of them with bounds, as a list or as a mapping.
func (d *decoder) degrades(value any, all []string) []Degrade {
	var out []Degrade
	read := func(bounds map[string]any, path ...string) {
		for name, v := range bounds {
			d.known(name, all, append(slices.Clone(path), name)...)
			out = append(out, d.bounds(name, v))
		}
	}
	switch v := value.(type) {
	case map[string]any:
		read(v, "may_degrade")
	case []any:
		for i, item := range v {
			at := []string{"may_degrade", strconv.Itoa(i)}
			if bounds, ok := item.(map[string]any); ok {
				read(bounds, at...)
				continue
			}
			name := d.text(item, at...)
			d.known(name, all, at...)
			out = append(out, Degrade{Service: name, Errors: 1})
		}
	default:
		for _, name := range d.texts(value, "may_degrade") {
			d.known(name, all, "may_degrade")
			out = append(out, Degrade{Service: name, Errors: 1})
		}
	}
	slices.SortFunc(out, func(a, b Degrade) int { return strings.Compare(a.Service, b.Service) })
	return slices.CompactFunc(out, func(a, b Degrade) bool { return a.Service == b.Service })
}

// bounds reads how far a service may degrade: {errors: 20%, p95: 2s}.
func (d *decoder) bounds(name string, value any) Degrade {
	g := Degrade{Service: name, Errors: 1}
	if value == nil {
		return g
	}
	m := d.mapping(value, []string{"may_degrade", name}, "errors", "p95")
	if v, ok := m["errors"]; ok {
		digits, isPercent := strings.CutSuffix(strings.TrimSpace(fmt.Sprint(v)), "%")
		share, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || !isPercent || !(share >= 0 && share <= 100) {
			d.fail(fmt.Sprintf("%q is not a share", fmt.Sprint(v)), "write a percentage, as 20%",
				"may_degrade", name, "errors")
		}
		g.Errors = share / 100
	}
	if v, ok := m["p95"]; ok {
		limit, err := time.ParseDuration(fmt.Sprint(v))
		if err != nil || limit <= 0 {
			d.fail(fmt.Sprintf("%q is not a duration", fmt.Sprint(v)),
				"write it with its unit, as 2s or 500ms", "may_degrade", name, "p95")
		}
		g.P95 = limit
	}
	return g
}

func (d *decoder) prepare(value any) *Prepare {
	m := d.mapping(value, []string{"prepare"}, "run", "env", "watch")
	p := &Prepare{written: d.text(m["run"], "prepare", "run"), Env: map[string]string{}}
	p.Run = strings.TrimSpace(p.written)
	if p.Run == "" {
		d.fail("no command", "write run: and the command", "prepare", "run")
	}
	switch env := m["env"].(type) {
	case nil:
	case map[string]any:
		for k, v := range env {
			switch v.(type) {
			case map[string]any, []any, nil:
				d.fail("not a text", `write `+k+`: "value"`, "prepare", "env", k)
			}
			p.Env[k] = fmt.Sprint(v)
		}
	default:
		for _, entry := range d.texts(env, "prepare", "env") {
			k, v, ok := strings.Cut(entry, "=")
			if !ok || k == "" {
				d.fail(fmt.Sprintf("%q has no value", entry), "write KEY=value, or a mapping",
					"prepare", "env", entry)
			}
			p.Env[k] = v
		}
	}
	for _, path := range d.texts(m["watch"], "prepare", "watch") {
		p.Watch = append(p.Watch, d.links.anchored(join(d.links.dir, path)))
	}
	return p
}

func (d *decoder) probe(text string) string {
	u, err := url.Parse(text)
	if err == nil && u.Hostname() != "" && !own(u.Hostname(), d.service) {
		d.fail(fmt.Sprintf("%s is not of this service: a probe asks its own container", u.Hostname()),
			"write localhost, with the port in the container", "probe")
		return ""
	}
	if err == nil && u.Host != "" && slices.Contains([]string{"http", "https"}, u.Scheme) {
		return text
	}
	if err == nil && u.Scheme == "tcp" && u.Hostname() != "" && u.Port() != "" {
		return text
	}
	d.fail(fmt.Sprintf("%q is not an address to ask", text),
		"write http://localhost:8080/health or tcp://localhost:5432", "probe")
	return ""
}

// own says whether a host is the container itself: loopback, or the service by its name.
func own(host, service string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || host == service || err == nil && ip.IsLoopback()
}

// mapping returns a mapping whose keys are all known. path is below x-bulkhead.
func (d *decoder) mapping(value any, path []string, known ...string) map[string]any {
	if value == nil && len(path) == 0 {
		return nil
	}
	m, ok := value.(map[string]any)
	if !ok {
		d.fail("must be a mapping", "write some of "+strings.Join(known, ", ")+" below it", path...)
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if slices.Contains(known, key) || strings.HasPrefix(key, "x-") {
			continue
		}
		d.fail("no such attribute", orNearest(key, known, "there are: "+strings.Join(known, ", ")),
			append(slices.Clone(path), key)...)
	}
	return m
}

func (d *decoder) text(value any, path ...string) string {
	switch v := value.(type) {
	case string:
		return v
	case nil:
		if len(path) > 1 {
			return "" // a missing one, which the caller asks for
		}
	}
	d.fail("must be a text", "put it in quotes", path...)
	return ""
}

// texts returns a list of texts; a single text is a list of one.
func (d *decoder) texts(value any, path ...string) []string {
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []any:
		var list []string
		for i, item := range v {
			list = append(list, d.text(item, append(slices.Clone(path), fmt.Sprint(i))...))
		}
		return list
	}
	d.fail("must be a list", "write it as [a, b]", path...)
	return nil
}

// choice returns the index of a name, of which the first is none that may be written.
func (d *decoder) choice(value any, names []string, path ...string) int {
	text, ok := value.(string)
	if i := slices.Index(names, text); ok && i > 0 {
		return i
	}
	written := fmt.Sprint(value)
	// an unquoted off is a boolean to some YAML readers
	if i := slices.Index(names, "off"); value == false && i > 0 {
		return i
	}
	d.fail(fmt.Sprintf("%q is not known", written),
		orNearest(written, names[1:], "write one of "+strings.Join(names[1:], ", ")), path...)
	return 0
}

// fail keeps the first fault.
func (d *decoder) fail(problem, remedy string, path ...string) {
	if d.err != nil {
		return
	}
	at := append([]string{"services", d.service, extensionKey}, path...)
	d.err = d.sources.errorAt(at...)
	d.err.Problem = strings.Join(at, ".") + ": " + problem
	d.err.Remedy = remedy
}
