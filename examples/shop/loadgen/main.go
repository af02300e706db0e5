// Loadgen is the shop's customers: a few requests a second, always the same
// round, so that there is something to see and a failure shows at once.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"bulkhead/examples/shop/internal/service"
)

const summaryEvery = 5 * time.Second

// goods are what the customers buy, in turn.
var goods = [...]string{"bread", "tea", "apples", "honey", "twine", "cheese"}

func main() {
	service.Main(service.Logfmt, func(log *slog.Logger, _ string) (service.App, error) {
		rate, err := rateFrom(os.Getenv("RATE"))
		if err != nil {
			return service.App{}, err
		}
		l := &loadgen{log: log, gateway: service.NewClient("gateway", "", service.Front),
			every: time.Duration(float64(time.Second) / rate)}
		return service.App{Loop: l.loop}, nil
	})
}

// rateFrom reads requests a second; "" is 5.
func rateFrom(s string) (float64, error) {
	if s == "" {
		return 5, nil
	}
	rate, err := strconv.ParseFloat(s, 64)
	if err != nil || !(rate > 0 && rate <= 1000) {
		return 0, fmt.Errorf("RATE=%s: want requests a second, above 0 and up to 1000", s)
	}
	return rate, nil
}

type loadgen struct {
	log     *slog.Logger
	gateway *service.Client
	every   time.Duration

	round                           int // of ten requests each
	sent, degraded, refused, failed int // since the last summary
	slowest                         time.Duration
}

func (l *loadgen) loop(ctx context.Context) error {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	summary := time.NewTicker(summaryEvery)
	defer summary.Stop()
	for step := 0; ; step = (step + 1) % 10 {
		select {
		case <-ctx.Done():
			return nil
		case <-summary.C:
			l.summary()
			step-- // no request was sent in this turn
		case <-tick.C:
			if step == 0 {
				l.round++
			}
			l.step(ctx, step)
		}
	}
}

// step sends the request that this step of the round stands for: a customer
// looks around, fills the cart, and orders.
func (l *loadgen) step(ctx context.Context, step int) {
	user := fmt.Sprintf("customer-%d", l.round%5+1)
	switch step {
	case 2, 5, 7:
		item := map[string]any{"sku": goods[(l.round+step)%len(goods)], "qty": 1 + step%2}
		l.send(ctx, http.MethodPost, "/api/cart/"+user, item)
	case 8:
		l.send(ctx, http.MethodPost, "/api/orders", map[string]string{"user": user})
	case 1, 6:
		l.send(ctx, http.MethodGet, "/api/catalog", nil)
	case 9:
		l.send(ctx, http.MethodGet, "/api/orders", nil)
	default:
		l.send(ctx, http.MethodGet, "/api/home?user="+user, nil)
	}
}

func (l *loadgen) send(ctx context.Context, method, path string, in any) {
	var answer struct{ Degraded bool }
	start := time.Now()
	err := l.gateway.Do(ctx, method, path, in, &answer)
	if ctx.Err() != nil {
		return // a stop in the middle of it
	}
	l.sent++
	l.slowest = max(l.slowest, time.Since(start))
	var status *service.StatusError
	switch {
	case errors.As(err, &status) && (method == http.MethodPost || !service.Down(err)):
		l.refused++ // said clearly, by a gateway that works
	case err != nil:
		l.failed++
	case answer.Degraded:
		l.degraded++
	}
}

func (l *loadgen) summary() {
	level := slog.LevelInfo
	if l.failed > 0 {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "traffic", "sent", l.sent, "degraded", l.degraded,
		"refused", l.refused, "failed", l.failed, "slowest", l.slowest.Round(100*time.Microsecond))
	l.sent, l.degraded, l.refused, l.failed, l.slowest = 0, 0, 0, 0, 0
}
