// Web is the shop's page. It knows the gateway and nothing behind it; when the
// gateway itself is away it shows the last page it had, and says so.
package main

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"bulkhead/examples/shop/internal/service"
)

const warnEvery = 5 * time.Second // at most one warning in this time

//go:embed page.html
var pageText string

//go:embed static
var static embed.FS

func main() {
	service.Main(service.Logfmt, func(log *slog.Logger, _ string) (service.App, error) {
		w, err := newWeb(log, service.NewClient("gateway", "", service.Front))
		if err != nil {
			return service.App{}, err
		}
		return service.App{Handler: w.routes()}, nil
	})
}

// page is what the gateway's /api/home says, as far as it is shown.
type page struct {
	Catalog struct {
		Data []struct {
			SKU, Name    string
			Cents, Views int
		}
		Degraded bool
	}
	Cart struct {
		Data struct {
			Lines []struct {
				Name       string
				Cents, Qty int
			}
			Cents int
		}
		Degraded bool
	}
	Orders struct {
		Data []struct {
			ID, User, State string
			Cents, Items    int
		}
		Degraded bool
	}
	Payments struct {
		Data     struct{ Approved, Declined, Cents int }
		Degraded bool
	}
	Down []string

	Closed bool   `json:"-"` // the gateway did not answer
	Notice string `json:"-"`
}

type web struct {
	log     *slog.Logger
	gateway *service.Client
	page    *template.Template

	mu     sync.Mutex
	last   page      // the last that the gateway said
	warned time.Time // zero while the gateway answers
}

func newWeb(log *slog.Logger, gateway *service.Client) (*web, error) {
	tmpl, err := template.New("page").Funcs(template.FuncMap{"euro": euro}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("page.html: %w", err)
	}
	return &web{log: log, gateway: gateway, page: tmpl}, nil
}

func (s *web) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/", http.FileServerFS(static))
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /add", s.add)
	mux.HandleFunc("POST /checkout", s.checkout)
	return mux
}

func (s *web) home(w http.ResponseWriter, r *http.Request) {
	var now page
	err := s.gateway.Do(r.Context(), http.MethodGet, "/api/home?user=guest", nil, &now)
	now = s.remember(now, err)
	now.Notice = r.URL.Query().Get("notice")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := s.page.Execute(w, now); err != nil {
		s.log.Error("page not written", "err", err)
	}
}

// remember keeps what the gateway said, or returns the last of it.
func (s *web) remember(now page, err error) page {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if !s.warned.IsZero() {
			s.log.Info("gateway is back", "service", "gateway")
		}
		s.last, s.warned = now, time.Time{}
		return now
	}
	if time.Since(s.warned) > warnEvery {
		s.log.Warn("gateway is down, serving the last page", "service", "gateway", "err", err)
		s.warned = time.Now()
	}
	now = s.last
	now.Closed = true
	return now
}

func (s *web) add(w http.ResponseWriter, r *http.Request) {
	in := map[string]any{"sku": r.FormValue("sku"), "qty": 1}
	s.wish(w, r, "/api/cart/guest", in, "Put into the cart.")
}

func (s *web) checkout(w http.ResponseWriter, r *http.Request) {
	s.wish(w, r, "/api/orders", map[string]any{"user": "guest"}, "Thank you for your order.")
}

// wish sends what the visitor wants to the gateway, and the visitor back to the
// page, where the outcome is shown.
func (s *web) wish(w http.ResponseWriter, r *http.Request, path string, in any, thanks string) {
	notice := thanks
	if err := s.gateway.Do(r.Context(), http.MethodPost, path, in, nil); err != nil {
		notice = "The shop cannot be reached just now."
		var status *service.StatusError
		if errors.As(err, &status) {
			notice = "Sorry: " + status.Message + "."
		}
		s.log.Warn("a wish was not granted", "path", path, "err", err)
	}
	http.Redirect(w, r, "/?notice="+url.QueryEscape(notice), http.StatusSeeOther)
}

func euro(cents int) string {
	return strconv.Itoa(cents/100) + "." + fmt.Sprintf("%02d", cents%100) + " €"
}
