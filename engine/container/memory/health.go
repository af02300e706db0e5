package memory

import (
	"context"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// healthcheck is what asks a container how it is.
type healthcheck struct {
	test                       []string
	interval, timeout, startIn time.Duration
	retries                    int
}

// check is the healthcheck of the file over that of the image. It is nil when there
// is none.
func check(file, image *types.HealthCheckConfig) *healthcheck {
	c := file
	if c == nil || len(c.Test) == 0 && !c.Disable {
		c = image
	}
	if c == nil || c.Disable || len(c.Test) < 2 || c.Test[0] == "NONE" {
		return nil
	}
	h := &healthcheck{test: c.Test, interval: 30 * time.Second, timeout: 30 * time.Second, retries: 3}
	for _, from := range []*types.HealthCheckConfig{c, file} { // the file's settings apply to the image's test
		if from == nil {
			continue
		}
		if from.Interval != nil {
			h.interval = time.Duration(*from.Interval)
		}
		if from.Timeout != nil {
			h.timeout = time.Duration(*from.Timeout)
		}
		if from.StartPeriod != nil {
			h.startIn = time.Duration(*from.StartPeriod)
		}
		if from.Retries != nil && *from.Retries > 0 {
			h.retries = int(*from.Retries)
		}
	}
	return h
}

func (h *healthcheck) command() []string {
	if h.test[0] == "CMD-SHELL" {
		return []string{"/bin/sh", "-c", h.test[1]}
	}
	return h.test[1:]
}

// watchHealth asks a life again and again. Callers hold mu.
func (e *engine) watchHealth(b *box, l *life) {
	h := b.health
	if h == nil {
		return
	}
	b.in.Health, b.in.HealthOutput = container.HealthStarting, ""
	began := time.Now()
	e.running.Go(func() {
		failed := 0
		for e.pause(context.Background(), h.interval, l.ended) {
			ctx, cancel := context.WithTimeout(context.Background(), h.timeout)
			var out strings.Builder
			code, err := e.run(ctx, b, l, h.command(), nil, nil,
				func(_ container.Stream, text string) { out.WriteString(text) })
			if ctx.Err() != nil {
				code = -1 // as the engine notes what did not answer in time
			}
			cancel()
			said := out.String()
			if err != nil && said == "" {
				said = err.Error()
			}
			e.mu.Lock()
			if l.over {
				e.mu.Unlock()
				return
			}
			b.in.HealthOutput, b.in.HealthExit = said, code
			now := b.in.Health
			switch {
			case err == nil && code == 0:
				failed, b.in.HealthFailing, now = 0, 0, container.Healthy
			case now == container.HealthStarting && time.Since(began) < h.startIn:
			default:
				if failed++; failed >= h.retries {
					now = container.Unhealthy
				}
				b.in.HealthFailing = failed
			}
			if now != b.in.Health {
				b.in.Health = now
				e.emit(b, container.Event{Kind: container.EventHealth, Health: now})
			}
			e.mu.Unlock()
		}
	})
}
