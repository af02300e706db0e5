// Orders turns a cart into an order and has it paid. When payments is down the
// order is taken all the same, and paid as soon as payments is back.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"bulkhead/examples/shop/internal/service"
)

const (
	kept        = 100 // orders that are remembered
	shown       = 10  // orders in a list
	settleEvery = 2 * time.Second
)

func main() {
	service.Main(service.JSON, func(log *slog.Logger, data string) (service.App, error) {
		o, err := open(log, data, service.NewClient("cart", "", service.Back),
			service.NewClient("payments", "", service.Back))
		if err != nil {
			return service.App{}, err
		}
		return service.App{Handler: o.routes(), Health: o.health, Loop: o.settleLoop}, nil
	})
}

// state is where an order stands. It moves from pending to one of the others.
type state string

const (
	pending  state = "pending" // payments has not been reached yet
	paid     state = "paid"
	declined state = "declined"
)

type order struct {
	ID    string    `json:"id"`
	User  string    `json:"user"`
	Cents int       `json:"cents"`
	Items int       `json:"items"`
	State state     `json:"state"`
	Time  time.Time `json:"time"`
	// taken while payments was down; in the answer to a checkout only
	Degraded bool `json:"degraded,omitempty"`
}

// book is the service's data.
type book struct {
	Last   int     `json:"last"` // number of the newest order
	Orders []order `json:"orders"`
}

type orders struct {
	log            *slog.Logger
	cart, payments *service.Client
	book           *service.File[book]
}

func open(log *slog.Logger, data string, cart, payments *service.Client) (*orders, error) {
	file, err := service.OpenFile(filepath.Join(data, "orders.json"), book{})
	if err != nil {
		return nil, err
	}
	return &orders{log: log, cart: cart, payments: payments, book: file}, nil
}

func (o *orders) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", o.list)
	mux.HandleFunc("POST /orders", o.checkout)
	return mux
}

func (o *orders) health() map[string]any { return map[string]any{"pending": len(o.pending())} }

// list answers with the newest orders first.
func (o *orders) list(w http.ResponseWriter, _ *http.Request) {
	newest := []order{}
	o.book.View(func(b book) {
		for i := len(b.Orders) - 1; i >= 0 && len(newest) < shown; i-- {
			newest = append(newest, b.Orders[i])
		}
	})
	service.Write(w, http.StatusOK, newest)
}

func (o *orders) checkout(w http.ResponseWriter, r *http.Request) {
	var who struct{ User string }
	if !service.Read(w, r, &who) {
		return
	}
	cartPath := "/carts/" + url.PathEscape(who.User)
	var cart struct {
		Lines []struct{ Qty int }
		Cents int
	}
	if err := o.cart.Do(r.Context(), http.MethodGet, cartPath, nil, &cart); err != nil {
		if service.Down(err) {
			o.log.Warn("cart is down, no order taken", "service", "cart", "user", who.User, "err", err)
			service.Fail(w, http.StatusFailedDependency, "cart is down, no order taken")
			return
		}
		service.Pass(w, err)
		return
	}
	if len(cart.Lines) == 0 {
		service.Fail(w, http.StatusConflict, "the cart is empty")
		return
	}
	placed := order{User: who.User, Cents: cart.Cents, State: pending, Time: time.Now().UTC()}
	for _, line := range cart.Lines {
		placed.Items += line.Qty
	}
	// Saved before it is paid: an order that is killed half way is pending, and
	// the loop has it paid. Payments takes the money of one order once.
	if err := o.add(&placed); err != nil {
		o.log.Error("order not saved", "user", who.User, "err", err)
		service.Fail(w, http.StatusInternalServerError, "the order could not be saved")
		return
	}
	// The money and the cart must not hang on a browser that leaves.
	ctx := context.WithoutCancel(r.Context())
	if err := o.pay(ctx, &placed); err != nil {
		placed.Degraded = true
		o.log.Warn("payments is down, order kept as pending", "service", "payments", "order",
			placed.ID, "err", err)
	}
	if placed.State != declined {
		if err := o.cart.Do(ctx, http.MethodDelete, cartPath, nil, nil); err != nil {
			o.log.Warn("cart not cleared", "service", "cart", "order", placed.ID, "err", err)
		}
	}
	o.log.Info("order placed", "order", placed.ID, "user", placed.User, "cents", placed.Cents,
		"state", placed.State)
	service.Write(w, http.StatusCreated, placed)
}

// add saves the order under the next number.
func (o *orders) add(placed *order) error {
	return o.book.Update(func(b *book) error {
		b.Last++
		placed.ID = fmt.Sprintf("o-%06d", b.Last)
		b.Orders = append(b.Orders, *placed)
		b.Orders = b.Orders[max(0, len(b.Orders)-kept):]
		return nil
	})
}

// pay asks payments for the money and saves what it said. It returns an error
// when payments gave no answer; the order stays pending then.
func (o *orders) pay(ctx context.Context, placed *order) error {
	ask := map[string]any{"order": placed.ID, "user": placed.User, "cents": placed.Cents}
	err := o.payments.Do(ctx, http.MethodPost, "/payments", ask, nil)
	if service.Down(err) {
		return err
	}
	placed.State = paid
	if err != nil {
		placed.State = declined
	}
	err = o.book.Update(func(b *book) error {
		for i := range b.Orders {
			if b.Orders[i].ID == placed.ID {
				b.Orders[i].State = placed.State
			}
		}
		return nil
	})
	if err != nil { // on disk it is pending still, and payments will say the same when asked again
		o.log.Error("payment not recorded", "order", placed.ID, "err", err)
	}
	return nil
}

func (o *orders) pending() (list []order) {
	o.book.View(func(b book) {
		for _, was := range b.Orders {
			if was.State == pending {
				list = append(list, was)
			}
		}
	})
	return list
}

// settleLoop has pending orders paid, oldest first, until ctx ends.
func (o *orders) settleLoop(ctx context.Context) error {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			o.settle(ctx)
		}
	}
}

func (o *orders) settle(ctx context.Context) {
	for _, was := range o.pending() {
		if time.Since(was.Time) < time.Second {
			continue // its checkout may still be at it
		}
		if err := o.pay(ctx, &was); err != nil {
			return // still down; the next tick tries again
		}
		o.log.Info("pending order settled", "order", was.ID, "state", was.State)
	}
}
