package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/examples/shop/internal/service"
)

// town is orders between a fake cart and a fake payments.
type town struct {
	t      *testing.T
	data   string
	orders *orders

	mu      sync.Mutex
	down    map[string]bool
	lines   int // in the cart
	cents   int
	charged map[string]int // order -> times that payments was asked
	decline bool
}

func newTown(t *testing.T) *town {
	w := &town{t: t, data: t.TempDir(), down: map[string]bool{}, lines: 2, cents: 500,
		charged: map[string]int{}}
	cart := w.serve("cart", func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.lines = 0
		}
		service.Write(rw, 200, map[string]any{"lines": make([]struct{ Qty int }, w.lines), "cents": w.cents})
	})
	payments := w.serve("payments", func(rw http.ResponseWriter, r *http.Request) {
		var ask struct{ Order string }
		if !service.Read(rw, r, &ask) {
			return
		}
		w.charged[ask.Order]++
		if w.decline {
			service.Fail(rw, http.StatusPaymentRequired, "too much")
			return
		}
		service.Write(rw, 200, ask)
	})
	var err error
	if w.orders, err = open(slog.New(slog.DiscardHandler), w.data, cart, payments); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *town) serve(name string, answer http.HandlerFunc) *service.Client {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.down[name] {
			panic(http.ErrAbortHandler) // cuts the connection, as a killed process does
		}
		answer(rw, r)
	}))
	w.t.Cleanup(server.Close)
	return service.NewClient(name, server.URL, time.Minute)
}

func (w *town) set(name string, down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down[name] = down
}

func (w *town) checkout() (int, order) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.orders.routes().ServeHTTP(rec, httptest.NewRequest("POST", "/orders",
		strings.NewReader(`{"user":"ann"}`)))
	var placed order
	if err := json.Unmarshal(rec.Body.Bytes(), &placed); err != nil {
		w.t.Fatal(err)
	}
	return rec.Code, placed
}

// saved returns the orders as a new start would find them.
func (w *town) saved() []order {
	w.t.Helper()
	file, err := service.OpenFile(filepath.Join(w.data, "orders.json"), book{})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []order
	file.View(func(b book) { all = append(all, b.Orders...) })
	return all
}

func TestCheckoutIsPaidAndEmptiesTheCart(t *testing.T) {
	w := newTown(t)
	code, placed := w.checkout()
	if code != 201 || placed.State != paid || placed.Cents != 500 || placed.Degraded {
		t.Errorf("%d %+v, want a paid order of 500", code, placed)
	}
	if w.lines != 0 {
		t.Error("the cart is still full")
	}
	if all := w.saved(); len(all) != 1 || all[0].State != paid {
		t.Errorf("saved: %+v", all)
	}
	if code, _ := w.checkout(); code != http.StatusConflict {
		t.Errorf("an empty cart: %d, want 409", code)
	}
}

func TestOrderIsTakenWhilePaymentsIsDownAndPaidOnceLater(t *testing.T) {
	w := newTown(t)
	w.set("payments", true)
	code, placed := w.checkout()
	if code != 201 || placed.State != pending || !placed.Degraded {
		t.Fatalf("%d %+v, want a pending order, marked", code, placed)
	}
	if w.lines != 0 {
		t.Error("the cart is still full")
	}
	// As if it had been placed a while ago: a new one is left to its checkout.
	err := w.orders.book.Update(func(b *book) error {
		b.Orders[0].Time = b.Orders[0].Time.Add(-time.Minute)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.orders.settle(t.Context())
	if all := w.saved(); all[0].State != pending || all[0].Degraded {
		t.Errorf("with payments down: %+v, want it pending", all[0])
	}
	w.set("payments", false)
	w.orders.settle(t.Context())
	w.orders.settle(t.Context())
	if all := w.saved(); all[0].State != paid {
		t.Errorf("with payments back: %+v, want it paid", all[0])
	}
	if w.charged[placed.ID] != 1 {
		t.Errorf("charged %d times", w.charged[placed.ID])
	}
}

func TestDeclinedOrderKeepsTheCart(t *testing.T) {
	w := newTown(t)
	w.decline = true
	if code, placed := w.checkout(); code != 201 || placed.State != declined {
		t.Errorf("%d %+v, want a declined order", code, placed)
	}
	if w.lines == 0 {
		t.Error("the cart was emptied for nothing")
	}
}

func TestNoOrderWithoutTheCart(t *testing.T) {
	w := newTown(t)
	w.set("cart", true)
	if code, _ := w.checkout(); code != http.StatusFailedDependency {
		t.Errorf("%d, want 424: orders itself is not down", code)
	}
	if all := w.saved(); len(all) != 0 {
		t.Errorf("saved: %+v", all)
	}
}
