// Catalog knows what the shop sells: the goods come with the program
// (items.json), how often each was looked at is its own data.
package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"

	"bulkhead/examples/shop/internal/service"
)

//go:embed items.json
var goods []byte

func main() { service.Main(service.Logfmt, setup) }

type item struct {
	SKU   string `json:"sku"`
	Name  string `json:"name"`
	Cents int    `json:"cents"`
	Views int    `json:"views"`
}

type catalog struct {
	log   *slog.Logger
	items []item // without Views
	views *service.File[map[string]int]
}

func setup(log *slog.Logger, data string) (service.App, error) {
	c := &catalog{log: log}
	if err := json.Unmarshal(goods, &c.items); err != nil {
		return service.App{}, fmt.Errorf("items.json: %w", err)
	}
	var err error
	if c.views, err = service.OpenFile(filepath.Join(data, "views.json"), map[string]int{}); err != nil {
		return service.App{}, err
	}
	log.Info("catalog loaded", "items", len(c.items))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items", c.list)
	mux.HandleFunc("GET /items/{sku}", c.one)
	return service.App{Handler: mux}, nil
}

func (c *catalog) list(w http.ResponseWriter, _ *http.Request) {
	items := make([]item, len(c.items))
	copy(items, c.items)
	c.views.View(func(views map[string]int) {
		for i := range items {
			items[i].Views = views[items[i].SKU]
		}
	})
	service.Write(w, http.StatusOK, items)
}

func (c *catalog) one(w http.ResponseWriter, r *http.Request) {
	sku := r.PathValue("sku")
	for _, it := range c.items {
		if it.SKU != sku {
			continue
		}
		err := c.views.Update(func(views *map[string]int) error {
			(*views)[sku]++
			it.Views = (*views)[sku]
			return nil
		})
		if err != nil { // the count matters less than the answer
			c.log.Error("view not counted", "sku", sku, "err", err)
		}
		service.Write(w, http.StatusOK, it)
		return
	}
	service.Fail(w, http.StatusNotFound, "there is no item %q", sku)
}
