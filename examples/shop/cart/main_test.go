package main

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCartAddsUpAndHasAnEnd(t *testing.T) {
	app, err := setup(slog.New(slog.DiscardHandler), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string) (int, string) {
		rec := httptest.NewRecorder()
		app.Handler.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
		return rec.Code, rec.Body.String()
	}
	ask("POST", "/carts/ann/lines", `{"sku":"tea","cents":780,"qty":1}`)
	ask("POST", "/carts/ann/lines", `{"sku":"tea","cents":700,"qty":2}`)
	code, body := ask("POST", "/carts/ann/lines", `{"sku":"bread","cents":450,"qty":1}`)
	if code != 200 || !strings.Contains(body, `"qty":3`) || !strings.Contains(body, `"cents":2550,"changed"`) {
		t.Errorf("%d %s, want three of tea at the newest price and one bread: 2550", code, body)
	}
	for body, want := range map[string]int{
		`{"sku":"tea","cents":700,"qty":97}`: 409,
		`{"sku":"tea","cents":700,"qty":0}`:  400,
		`{"sku":"tea","cents":-5,"qty":1}`:   400,
	} {
		if code, answer := ask("POST", "/carts/ann/lines", body); code != want {
			t.Errorf("%s: %d %s, want %d", body, code, answer, want)
		}
	}
	for n := range maxCarts {
		ask("POST", fmt.Sprintf("/carts/u%d/lines", n), `{"sku":"tea","cents":1,"qty":1}`)
	}
	if _, body := ask("GET", "/carts/ann", ""); strings.Contains(body, "tea") {
		t.Error("the oldest cart did not make room")
	}
	if _, body := ask("GET", "/carts/u0", ""); !strings.Contains(body, "tea") {
		t.Error("a cart went that need not have gone")
	}
}
