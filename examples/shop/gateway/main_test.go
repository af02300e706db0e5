package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bulkhead/examples/shop/internal/service"
)

// shop is a gateway in front of fake services; kill takes one of them away.
type shop struct {
	t       *testing.T
	gateway *gateway
	door    *httptest.Server
	servers map[string]*httptest.Server
	log     strings.Builder
}

func openShop(t *testing.T) *shop {
	s := &shop{t: t, servers: map[string]*httptest.Server{}}
	answers := map[string]string{
		"GET /items":              `[{"sku":"tea","cents":780}]`,
		"GET /items/tea":          `{"sku":"tea","name":"Tea","cents":780,"views":1}`,
		"GET /carts/ann":          `{"user":"ann","lines":[{"sku":"tea"}]}`,
		"POST /carts/ann/lines":   `{"user":"ann"}`,
		"GET /orders":             `[{"id":"o-1"}]`,
		"POST /orders":            `{"id":"o-2","state":"pending","degraded":true}`,
		"GET /payments":           `{"approved":1}`,
		"GET /carts/guest":        `{"lines":[]}`,
		"POST /carts/guest/lines": `{"user":"guest"}`,
	}
	for _, name := range []string{"catalog", "cart", "orders", "payments"} {
		s.servers[name] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer, ok := answers[r.Method+" "+r.URL.Path]
			if !ok {
				service.Fail(w, http.StatusNotFound, "there is no %s", r.URL.Path)
				return
			}
			w.Write([]byte(answer))
		}))
		t.Cleanup(s.servers[name].Close)
	}
	s.gateway = newGateway(slog.New(slog.NewTextHandler(&s.log, nil)), func(name string) *service.Client {
		return service.NewClient(name, s.servers[name].URL, time.Minute)
	})
	s.door = httptest.NewServer(s.gateway.routes())
	t.Cleanup(s.door.Close)
	return s
}

func (s *shop) kill(names ...string) {
	for _, name := range names {
		s.servers[name].Close()
	}
}

// ask returns the status and decodes the answer into out.
func (s *shop) ask(method, path, body string, out any) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.door.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode
}

func TestHomeServesTheLastAnswerOfADeadService(t *testing.T) {
	s := openShop(t)
	var before, after home
	if code := s.ask("GET", "/api/home?user=ann", "", &before); code != 200 || before.Degraded {
		t.Fatalf("with all services: %d, degraded %v", code, before.Degraded)
	}
	s.kill("orders")
	if code := s.ask("GET", "/api/home?user=ann", "", &after); code != 200 {
		t.Errorf("without orders: %d, want 200", code)
	}
	if !after.Degraded || !after.Orders.Degraded || after.Orders.AsOf == nil ||
		string(after.Orders.Data) != string(before.Orders.Data) {
		t.Errorf("orders: %s degraded %v as of %v, want the last list, marked", after.Orders.Data,
			after.Orders.Degraded, after.Orders.AsOf)
	}
	if after.Catalog.Degraded || after.Cart.Degraded || after.Payments.Degraded {
		t.Error("a service that runs is marked as degraded")
	}
	if len(after.Down) != 1 || after.Down[0] != "orders" {
		t.Errorf("down: %v, want orders", after.Down)
	}
	if want := `level=WARN msg="orders is down, serving cached list" service=orders`; !strings.Contains(s.log.String(), want) {
		t.Errorf("log %q, want %q in it", s.log.String(), want)
	}
}

func TestHomeIsThereWhenEverythingElseIsDownFromTheStart(t *testing.T) {
	s := openShop(t)
	s.kill("catalog", "cart", "orders", "payments")
	for range 2 * tripAfter {
		var h home
		if code := s.ask("GET", "/api/home", "", &h); code != 200 || !h.Degraded ||
			string(h.Catalog.Data) != "[]" || len(h.Down) != 4 {
			t.Fatalf("%d %+v, want an empty page with 200", code, h)
		}
	}
	if lines := strings.Count(s.log.String(), "\n"); lines != 4 {
		t.Errorf("%d log lines, want one a service:\n%s", lines, s.log.String())
	}
	if down := s.gateway.health()["down"].([]string); len(down) != 4 {
		t.Errorf("health says down: %v", down)
	}
}

func TestCheckoutSaysClearlyThatOrdersIsDown(t *testing.T) {
	s := openShop(t)
	s.kill("orders")
	var answer struct {
		Degraded bool
		Error    string
	}
	if code := s.ask("POST", "/api/orders", `{"user":"ann"}`, &answer); code != 503 ||
		!answer.Degraded || answer.Error == "" {
		t.Errorf("%d %+v, want a 503 that is marked and says why", code, answer)
	}
}

func TestCheckoutPassesOnThatPaymentsIsDown(t *testing.T) {
	s := openShop(t)
	var answer view
	if code := s.ask("POST", "/api/orders", `{"user":"ann"}`, &answer); code != 200 || !answer.Degraded {
		t.Errorf("%d degraded %v, want the order's own mark on a 200", code, answer.Degraded)
	}
}

func TestCartTakesAnItemAtTheCachedPrice(t *testing.T) {
	s := openShop(t)
	var answer view
	add := func() int { return s.ask("POST", "/api/cart/ann", `{"sku":"tea","qty":1}`, &answer) }
	if code := add(); code != 200 || answer.Degraded {
		t.Fatalf("with the catalog: %d, degraded %v", code, answer.Degraded)
	}
	s.kill("catalog")
	if code := add(); code != 200 || !answer.Degraded {
		t.Errorf("without the catalog: %d, degraded %v, want a marked 200", code, answer.Degraded)
	}
	var refusal struct{ Error string }
	if code := s.ask("POST", "/api/cart/ann", `{"sku":"bread","qty":1}`, &refusal); code != 503 {
		t.Errorf("an item never seen: %d, want 503: its price is not known", code)
	}
}

func TestRefusalOfAServiceReachesTheCustomer(t *testing.T) {
	s := openShop(t)
	var refusal struct{ Error string }
	if code := s.ask("POST", "/api/cart/ann", `{"sku":"gold","qty":1}`, &refusal); code != 404 ||
		!strings.Contains(refusal.Error, "gold") {
		t.Errorf("%d %q, want the catalog's own 404", code, refusal.Error)
	}
	if down := s.gateway.down(); len(down) != 0 {
		t.Errorf("down: %v; a refusal is an answer", down)
	}
}

func TestServiceThatComesBackIsAskedAgain(t *testing.T) {
	s := openShop(t)
	b := s.gateway.orders
	working := b.client
	s.kill("payments")
	b.client = service.NewClient("orders", s.servers["payments"].URL, time.Minute)
	for range tripAfter {
		if v, err := b.get(t.Context(), "/orders", "[]", "cached list"); err != nil || !v.Degraded {
			t.Fatalf("%+v %v, want a fallback", v, err)
		}
	}
	if !b.tripped() {
		t.Fatal("the gateway goes on asking a service that fails each time")
	}
	b.client = working
	deadline := time.Now().Add(3 * time.Minute)
	for ; ; time.Sleep(10 * time.Millisecond) {
		v, err := b.get(t.Context(), "/orders", "[]", "cached list")
		if err == nil && !v.Degraded {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never asked again: %+v %v", v, err)
		}
	}
	if b.down() || !strings.Contains(s.log.String(), `msg="orders is back"`) {
		t.Errorf("down %v, log:\n%s", b.down(), s.log.String())
	}
}
