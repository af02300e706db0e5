// Gateway is the one door to the shop's services. It answers while any of them
// is down: with the last thing that service said where that makes sense, with a
// clear 503 for that one wish where it does not. What it answers then is marked
// "degraded": true.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"bulkhead/examples/shop/internal/service"
)

const summaryEvery = 10 * time.Second

func main() {
	service.Main(service.Logfmt, func(log *slog.Logger, _ string) (service.App, error) {
		g := newGateway(log, func(name string) *service.Client {
			return service.NewClient(name, "", patience())
		})
		return service.App{Handler: g.routes(), Health: g.health, Loop: g.summaryLoop}, nil
	})
}

type gateway struct {
	log                             *slog.Logger
	catalog, cart, orders, payments *backend

	requests, degraded atomic.Int64 // since the last summary
}

func newGateway(log *slog.Logger, client func(name string) *service.Client) *gateway {
	return &gateway{
		log:      log,
		catalog:  newBackend(log, client("catalog")),
		cart:     newBackend(log, client("cart")),
		orders:   newBackend(log, client("orders")),
		payments: newBackend(log, client("payments")),
	}
}

func (g *gateway) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/home", g.home)
	mux.HandleFunc("GET /api/catalog", g.one(g.getCatalog))
	mux.HandleFunc("GET /api/orders", g.one(g.getOrders))
	mux.HandleFunc("GET /api/payments", g.one(g.getPayments))
	mux.HandleFunc("GET /api/cart/{user}", g.one(g.getCart))
	mux.HandleFunc("POST /api/cart/{user}", g.addToCart)
	mux.HandleFunc("POST /api/orders", g.checkout)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.requests.Add(1)
		mux.ServeHTTP(w, r)
	})
}

// health is ok however many services are down: the gateway can do its own work.
func (g *gateway) health() map[string]any { return map[string]any{"down": g.down()} }

func (g *gateway) down() []string {
	names := []string{}
	for _, b := range []*backend{g.catalog, g.cart, g.orders, g.payments} {
		if b.down() {
			names = append(names, b.client.Name())
		}
	}
	return names
}

type getter func(ctx context.Context, user string) (view, error)

func (g *gateway) getCatalog(ctx context.Context, _ string) (view, error) {
	return g.catalog.get(ctx, "/items", "[]", "cached list")
}

func (g *gateway) getOrders(ctx context.Context, _ string) (view, error) {
	return g.orders.get(ctx, "/orders", "[]", "cached list")
}

func (g *gateway) getPayments(ctx context.Context, _ string) (view, error) {
	return g.payments.get(ctx, "/payments", "{}", "cached totals")
}

func (g *gateway) getCart(ctx context.Context, user string) (view, error) {
	return g.cart.get(ctx, "/carts/"+url.PathEscape(user), `{"lines":[]}`, "cached cart")
}

// one answers with what a single service says.
func (g *gateway) one(get getter) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := get(r.Context(), r.PathValue("user"))
		if err != nil {
			service.Pass(w, err)
			return
		}
		g.count(v.Degraded)
		service.Write(w, http.StatusOK, v)
	}
}

type home struct {
	Catalog  view     `json:"catalog"`
	Cart     view     `json:"cart"`
	Orders   view     `json:"orders"`
	Payments view     `json:"payments"`
	Degraded bool     `json:"degraded"`
	Down     []string `json:"down"`
}

// home answers with all that the shop's page shows, asked for at the same time.
// It is 200 whatever is down.
func (g *gateway) home(w http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("user")
	if user == "" {
		user = "guest"
	}
	var h home
	var all sync.WaitGroup
	for into, get := range map[*view]getter{&h.Catalog: g.getCatalog, &h.Cart: g.getCart,
		&h.Orders: g.getOrders, &h.Payments: g.getPayments} {
		all.Go(func() {
			v, err := get(r.Context(), user)
			if err != nil { // refused: a fault of ours, and still no reason to show nothing
				g.log.Error("part of the page refused", "err", err)
				v = view{Data: []byte("null"), Degraded: true}
			}
			*into = v
		})
	}
	all.Wait()
	h.Down = g.down()
	h.Degraded = h.Catalog.Degraded || h.Cart.Degraded || h.Orders.Degraded || h.Payments.Degraded
	g.count(h.Degraded)
	service.Write(w, http.StatusOK, h)
}

// addToCart looks the item's price up in the catalog, or in its last answer, and
// puts it into the cart.
func (g *gateway) addToCart(w http.ResponseWriter, r *http.Request) {
	var want struct {
		SKU string `json:"sku"`
		Qty int    `json:"qty"`
	}
	if !service.Read(w, r, &want) {
		return
	}
	item, err := g.catalog.get(r.Context(), "/items/"+url.PathEscape(want.SKU), "null", "cached price")
	if err != nil {
		service.Pass(w, err)
		return
	}
	var line struct {
		SKU   string `json:"sku"`
		Name  string `json:"name"`
		Cents int    `json:"cents"`
		Qty   int    `json:"qty"`
	}
	if json.Unmarshal(item.Data, &line) != nil || line.SKU == "" {
		g.refuse(w, "catalog is down and the price of this item is not known here")
		return
	}
	line.Qty = want.Qty
	var cart json.RawMessage
	err = g.cart.call(r.Context(), http.MethodPost, "/carts/"+url.PathEscape(r.PathValue("user"))+
		"/lines", line, &cart, "nothing added")
	g.answer(w, err, view{Data: cart, Degraded: item.Degraded}, "cart is down: nothing was added")
}

func (g *gateway) checkout(w http.ResponseWriter, r *http.Request) {
	var who struct {
		User string `json:"user"`
	}
	if !service.Read(w, r, &who) {
		return
	}
	var placed json.RawMessage
	err := g.orders.call(r.Context(), http.MethodPost, "/orders", who, &placed, "checkout refused")
	var order struct {
		Degraded bool `json:"degraded"`
	}
	if err == nil {
		err = json.Unmarshal(placed, &order)
	}
	g.answer(w, err, view{Data: placed, Degraded: order.Degraded},
		"orders is down: the cart is kept, please try again")
}

// answer writes the outcome of a wish that changes something; sorry is for when
// the service that should have done it is down.
func (g *gateway) answer(w http.ResponseWriter, err error, v view, sorry string) {
	var status *service.StatusError
	switch {
	case err == nil:
		g.count(v.Degraded)
		service.Write(w, http.StatusOK, v)
	case service.Down(err):
		g.refuse(w, sorry)
	case errors.As(err, &status) && status.Code == http.StatusFailedDependency:
		g.refuse(w, status.Message) // it is up, what it needs is not
	default:
		service.Pass(w, err)
	}
}

func (g *gateway) refuse(w http.ResponseWriter, sorry string) {
	g.count(true)
	service.Write(w, http.StatusServiceUnavailable, map[string]any{"degraded": true, "error": sorry})
}

func (g *gateway) count(degraded bool) {
	if degraded {
		g.degraded.Add(1)
	}
}

// summaryLoop says every now and then what went through, until ctx ends.
func (g *gateway) summaryLoop(ctx context.Context) error {
	tick := time.NewTicker(summaryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			requests, degraded := g.requests.Swap(0), g.degraded.Swap(0)
			if requests > 0 {
				g.log.Info("traffic", "requests", requests, "degraded", degraded, "down", len(g.down()))
			}
		}
	}
}
