package main

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnOrderPaysOnceAcrossRestarts(t *testing.T) {
	data := t.TempDir()
	for range 2 {
		app, err := setup(slog.New(slog.DiscardHandler), data)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for body, want := range map[string]int{
				`{"order":"o-1","cents":1000}`:  200,
				`{"order":"o-2","cents":99999}`: 402,
				`{"order":"","cents":5}`:        400,
			} {
				rec := httptest.NewRecorder()
				app.Handler.ServeHTTP(rec, httptest.NewRequest("POST", "/payments", strings.NewReader(body)))
				if rec.Code != want {
					t.Errorf("%s: %d %s, want %d", body, rec.Code, rec.Body, want)
				}
			}
		}
		rec := httptest.NewRecorder()
		app.Handler.ServeHTTP(rec, httptest.NewRequest("GET", "/payments", nil))
		if want := `{"approved":1,"declined":1,"cents":1000}`; strings.TrimSpace(rec.Body.String()) != want {
			t.Errorf("summary %s, want %s", rec.Body, want)
		}
	}
}
