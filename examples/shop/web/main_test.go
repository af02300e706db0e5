package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bulkhead/examples/shop/internal/service"
)

func TestPageStaysWhenTheGatewayGoes(t *testing.T) {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"catalog":{"data":[{"sku":"tea","name":"<b>Tea</b>","cents":705}]},
			"cart":{"data":{"lines":[]}},"orders":{"data":[],"degraded":true},"payments":{"data":{}},"down":["orders"]}`))
	}))
	defer gateway.Close()
	s, err := newWeb(slog.New(slog.DiscardHandler), service.NewClient("gateway", gateway.URL, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	page := func() string {
		rec := httptest.NewRecorder()
		s.routes().ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		if rec.Code != 200 {
			t.Errorf("status %d", rec.Code)
		}
		return rec.Body.String()
	}
	open := page()
	for _, want := range []string{"&lt;b&gt;Tea&lt;/b&gt;", "7.05 €", "orders is down",
		`<section class="stale">`, "</html>"} {
		if !strings.Contains(open, want) {
			t.Errorf("no %q in the page:\n%s", want, open)
		}
	}
	gateway.Close()
	if closed := page(); !strings.Contains(closed, "Tea") || !strings.Contains(closed, "The gateway is away") {
		t.Errorf("without the gateway the page is:\n%s", closed)
	}
}
