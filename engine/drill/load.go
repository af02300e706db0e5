package drill

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
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
