// Payments takes the money for orders, once for each, however often it is asked.
package main

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"bulkhead/examples/shop/internal/service"
)

const (
	limit = 500_00 // cents; an order above it is declined
	kept  = 500    // payments that are remembered
)

func main() { service.Main(service.JSON, setup) }

type payment struct {
	Order    string    `json:"order"`
	User     string    `json:"user"`
	Cents    int       `json:"cents"`
	Approved bool      `json:"approved"`
	Time     time.Time `json:"time"`
}

type summary struct {
	Approved int `json:"approved"`
	Declined int `json:"declined"`
	Cents    int `json:"cents"` // of the approved ones
}

type payments struct {
	log     *slog.Logger
	journal *service.Journal[payment]

	mu sync.Mutex // one payment at a time, so that an order that asks twice pays once
}

func setup(log *slog.Logger, data string) (service.App, error) {
	journal, err := service.OpenJournal[payment](filepath.Join(data, "payments.jsonl"), kept)
	if err != nil {
		return service.App{}, err
	}
	p := &payments{log: log, journal: journal}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /payments", p.summary)
	mux.HandleFunc("POST /payments", p.pay)
	return service.App{Handler: mux}, nil
}

func (p *payments) summary(w http.ResponseWriter, _ *http.Request) {
	var sum summary
	for _, was := range p.journal.Records() {
		if was.Approved {
			sum.Approved++
			sum.Cents += was.Cents
		} else {
			sum.Declined++
		}
	}
	service.Write(w, http.StatusOK, sum)
}

func (p *payments) pay(w http.ResponseWriter, r *http.Request) {
	var want payment
	if !service.Read(w, r, &want) {
		return
	}
	if want.Order == "" || want.Cents <= 0 {
		service.Fail(w, http.StatusBadRequest, "a payment needs an order and an amount")
		return
	}
	got, err := p.once(want)
	switch {
	case err != nil:
		p.log.Error("payment not saved", "order", want.Order, "err", err)
		service.Fail(w, http.StatusInternalServerError, "the payment could not be saved")
	case !got.Approved:
		service.Fail(w, http.StatusPaymentRequired, "%d cents are above the limit of %d", got.Cents, limit)
	default:
		service.Write(w, http.StatusOK, got)
	}
}

// once returns the payment of the order, and makes it when there is none yet.
func (p *payments) once(want payment) (payment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, was := range p.journal.Records() {
		if was.Order == want.Order {
			return was, nil
		}
	}
	want.Approved, want.Time = want.Cents <= limit, time.Now().UTC()
	if err := p.journal.Append(want); err != nil {
		return payment{}, err
	}
	if want.Approved {
		p.log.Info("payment approved", "order", want.Order, "cents", want.Cents)
	} else {
		p.log.Warn("payment declined", "order", want.Order, "cents", want.Cents)
	}
	return want, nil
}
