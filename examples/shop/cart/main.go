// Cart keeps what each user is about to buy.
package main

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"bulkhead/examples/shop/internal/service"
)

// What one cart and the whole store may hold; the oldest cart makes room.
const (
	maxCarts = 200
	maxLines = 20
	maxQty   = 99
)

func main() { service.Main(service.Logfmt, setup) }

type line struct {
	SKU   string `json:"sku"`
	Name  string `json:"name"`
	Cents int    `json:"cents"` // for one
	Qty   int    `json:"qty"`
}

type cart struct {
	User    string    `json:"user"`
	Lines   []line    `json:"lines"`
	Cents   int       `json:"cents"` // for all
	Changed time.Time `json:"changed,omitzero"`
}

type carts struct {
	log   *slog.Logger
	store *service.File[map[string]cart]
}

func setup(log *slog.Logger, data string) (service.App, error) {
	store, err := service.OpenFile(filepath.Join(data, "carts.json"), map[string]cart{})
	if err != nil {
		return service.App{}, err
	}
	c := &carts{log: log, store: store}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /carts/{user}", c.get)
	mux.HandleFunc("POST /carts/{user}/lines", c.add)
	mux.HandleFunc("DELETE /carts/{user}", c.clear)
	return service.App{Handler: mux}, nil
}

func (c *carts) get(w http.ResponseWriter, r *http.Request) {
	c.store.View(func(all map[string]cart) {
		got, ok := all[r.PathValue("user")]
		if !ok {
			got = cart{User: r.PathValue("user"), Lines: []line{}}
		}
		service.Write(w, http.StatusOK, got)
	})
}

func (c *carts) add(w http.ResponseWriter, r *http.Request) {
	var want line
	if !service.Read(w, r, &want) {
		return
	}
	if want.SKU == "" || want.Cents <= 0 || want.Qty < 1 || want.Qty > maxQty {
		service.Fail(w, http.StatusBadRequest,
			"a line needs a sku, a price and a quantity from 1 to %d", maxQty)
		return
	}
	user := r.PathValue("user")
	var now cart
	full := false
	err := c.store.Update(func(all *map[string]cart) error {
		now, full = (*all)[user].with(want)
		now.User, now.Changed = user, time.Now().UTC()
		(*all)[user] = now
		if len(*all) > maxCarts {
			delete(*all, oldest(*all))
		}
		return nil
	})
	switch {
	case err != nil:
		c.log.Error("line not saved", "user", user, "err", err)
		service.Fail(w, http.StatusInternalServerError, "the cart could not be saved")
	case full:
		service.Fail(w, http.StatusConflict, "the cart is full")
	default:
		c.log.Info("line added", "user", user, "sku", want.SKU, "qty", want.Qty)
		service.Write(w, http.StatusOK, now)
	}
}

func (c *carts) clear(w http.ResponseWriter, r *http.Request) {
	user := r.PathValue("user")
	err := c.store.Update(func(all *map[string]cart) error {
		delete(*all, user)
		return nil
	})
	if err != nil {
		c.log.Error("cart not cleared", "user", user, "err", err)
		service.Fail(w, http.StatusInternalServerError, "the cart could not be saved")
		return
	}
	service.Write(w, http.StatusOK, cart{User: user, Lines: []line{}})
}

// with returns the cart with the line added. It reports full, and an unchanged
// cart, when there is no room.
func (c cart) with(want line) (now cart, full bool) {
	lines := append([]line(nil), c.Lines...)
	at := -1
	for i := range lines {
		if lines[i].SKU == want.SKU {
			at = i
		}
	}
	switch {
	case at < 0 && len(lines) == maxLines:
		return c, true
	case at < 0:
		lines = append(lines, want)
	case lines[at].Qty+want.Qty > maxQty:
		return c, true
	default:
		want.Qty += lines[at].Qty
		lines[at] = want
	}
	c.Lines, c.Cents = lines, 0
	for _, l := range lines {
		c.Cents += l.Cents * l.Qty
	}
	return c, false
}

func oldest(all map[string]cart) (user string) {
	for name, c := range all {
		if user == "" || c.Changed.Before(all[user].Changed) {
			user = name
		}
	}
	return user
}
