package main

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"testing"
)

func TestLooksAreCountedAcrossRestarts(t *testing.T) {
	data := t.TempDir()
	for start := 1; start <= 2; start++ {
		app, err := setup(slog.New(slog.DiscardHandler), data)
		if err != nil {
			t.Fatal(err)
		}
		get := func(path string, out any) int {
			rec := httptest.NewRecorder()
			app.Handler.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
			if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
				t.Fatal(err)
			}
			return rec.Code
		}
		var one item
		if code := get("/items/tea", &one); code != 200 || one.Views != start || one.Cents == 0 {
			t.Errorf("start %d: %d %+v", start, code, one)
		}
		var all []item
		get("/items", &all)
		for _, it := range all {
			if want := map[bool]int{true: start}[it.SKU == "tea"]; it.Views != want {
				t.Errorf("start %d: %s was looked at %d times, want %d", start, it.SKU, it.Views, want)
			}
		}
		if code := get("/items/gold", &struct{}{}); code != 404 {
			t.Errorf("an item that is not sold: %d, want 404", code)
		}
	}
}
