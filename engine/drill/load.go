package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// defaultRate is how many requests a second a load makes that names no rate.
const defaultRate = 5

// Load is what makes requests while a drill runs.
type Load struct {
	URL     string  `json:"url,omitempty"`
	Rate    float64 `json:"rate,omitempty"`    // requests a second
	Command string  `json:"command,omitempty"` // of the host's shell
	// Run runs Command until its ctx ends; set by who carries the drill out.
	Run func(ctx context.Context) `json:"-"`
}

// String says what makes the load, "" for nothing.
func (l Load) String() string {
	var out []string
	if l.URL != "" {
		out = append(out, fmt.Sprintf("%s, %g requests a second", l.URL, l.Rate))
	}
	if l.Command != "" {
		out = append(out, l.Command)
	}
	return strings.Join(out, "; ")
}

func (l Load) every() time.Duration { return time.Duration(float64(time.Second) / l.Rate) }

// ParseLoad reads URL[@RATE]: "http://localhost:8081/api/home@20".
func ParseLoad(text string) (Load, error) {
	l := Load{URL: text, Rate: defaultRate}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		if rate, err := strconv.ParseFloat(text[i+1:], 64); err == nil {
			l.URL, l.Rate = text[:i], rate
		}
	}
	u, err := url.Parse(l.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Load{}, fmt.Errorf("%q is no address to ask; write http://localhost:8080/path@20", text)
	}
	if !(l.Rate > 0 && l.Rate <= 1000) {
		return Load{}, fmt.Errorf("@%g: requests a second are above 0 and up to 1000", l.Rate)
	}
	return l, nil
}

// portOf is the port of a URL.
func portOf(address string) int {
	u, err := url.Parse(address)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	return port
}

// target is the service that publishes the port of a URL; "" when none does.
func target(address string, ports map[int]string) string { return ports[portOf(address)] }

// checkTarget says what a load proves whose URL belongs to no service: with an error where nothing answers
// there, else with a note, as a program on this machine may stand before the services. "" is nothing to say.
func (l Load) checkTarget(ctx context.Context, ports map[int]string) (note string, err error) {
	if l.URL == "" || target(l.URL, ports) != "" {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeLong)
	defer cancel()
	var published []string
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		published = append(published, fmt.Sprintf("%d (%s)", port, ports[port]))
	}
	remedy := "no service publishes a port"
	if len(published) > 0 {
		remedy = "published are " + strings.Join(published, ", ")
	}
	var refused *net.OpError
	if err := get(ctx, l.URL); errors.As(err, &refused) && refused.Op == "dial" {
		return "", container.WithRemedy(container.Failed("drill --load "+l.URL,
			"no service publishes port %d, and nothing answers there: %s", portOf(l.URL), refused.Err), "%s", remedy)
	}
	return fmt.Sprintf("--load: no service publishes port %d, so its requests are traffic, and their answers are "+
		"evidence of nobody; %s", portOf(l.URL), remedy), nil
}

// loadNote says that the load proves nothing, where all of its requests failed in the baseline; "" else.
func (d *Drill) loadNote(services []Service, baseline span) string {
	asked, failed, why := d.book.requests(target(d.o.Load.URL, portsOf(services)), baseline)
	if asked == 0 || failed < asked {
		return ""
	}
	return fmt.Sprintf("--load: all %d requests of the baseline failed, so they prove nothing; look at the URL: %s",
		asked, why)
}

// client opens a connection for each request: one that is kept says nothing of who connects now.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get makes one request of the load. An answer of 500 and more is an error.
func get(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if res.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}
