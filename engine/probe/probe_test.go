package probe

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// starting runs a program in a container of a runtime in memory.
func starting(t *testing.T, p func(p *memory.Process)) (rt *memory.Runtime, life container.Instance) {
	rt = memory.New()
	t.Cleanup(func() { rt.Close() })
	rt.Put("app", memory.Image{Command: []string{"serve"}})
	rt.Program("serve", memory.Program{Run: func(pr *memory.Process) int { p(pr); pr.Wait(); return 0 }})
	c := types.ServiceConfig{Name: "web"}
	c.Image, c.NetworkMode = "app", "none"
	spec := container.CreateSpec{
		App: &container.App{Name: "p"}, Service: &container.Service{Name: "web", Config: c,
			Image: "app"}, Replica: 1,
	}
	id, err := rt.Create(t.Context(), spec)
	if err == nil {
		err = rt.Start(t.Context(), spec, id)
	}
	if err == nil {
		life, err = rt.Inspect(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // until the program is at its wait
	return rt, life
}

// answers serves one status after the other on a port, the last one for good.
func answers(port int, statuses ...int) func(*memory.Process) {
	return func(p *memory.Process) {
		conns := p.Listen(port)
		go func() {
			for n := 0; ; n++ {
				select {
				case c := <-conns:
					if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						status := statuses[min(n, len(statuses)-1)]
						fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status,
							http.StatusText(status))
					}
					c.Close()
				case <-p.Killed:
					return
				}
			}
		}()
	}
}

func TestAnyAnswerBelow500IsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, life := starting(t, answers(8080, 200, 404, 503))
		ask := func(address string) string {
			if err := Ask(t.Context(), rt, life.ID, address); err != nil {
				return err.Error()
			}
			return ""
		}
		for _, c := range []struct{ address, want string }{
			{"http://localhost:8080/health", ""},
			{"http://localhost:8080/health", ""}, // 404: what answers is up
			{"http://localhost:8080/health", "it answers 503 Service Unavailable"},
			{"tcp://localhost:8080", ""},
			{"tcp://localhost:9", "connection refused"},
			{"http://localhost/", "connection refused"}, // port 80
		} {
			if got := ask(c.address); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%s: %q, want %q", c.address, got, c.want)
			}
		}
	})
}

// What does not answer is asked again, ever more seldom, until it does, and then no more.
func TestLifeIsAskedEarlyUntilItIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, life := starting(t, answers(8080, 503, 503, 503, 503, 503, 503, 200))
		began := time.Now()
		var at []time.Duration
		Early(t.Context(), rt, life, "http://localhost:8080/", func(ok bool) bool {
			at = append(at, time.Since(began))
			return ok
		})
		// Virtual time: 50 ms, doubled up to a second.
		want := "[0s 50ms 150ms 350ms 750ms 1.55s 2.55s]"
		if fmt.Sprint(at) != want {
			t.Errorf("asked at %v, want %s", at, want)
		}
	})
}

// With a healthcheck its own test is run, with the time that it may take, and the address is not asked.
func TestHealthcheckIsRunEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready := time.Now().Add(time.Second)
		rt, life := starting(t, func(*memory.Process) {})
		runs := 0
		rt.Program("check", memory.Program{Run: func(p *memory.Process) int {
			if runs++; runs == 1 {
				p.Sleep(time.Hour) // hangs
			}
			if time.Now().Before(ready) {
				return 1
			}
			return 0
		}})
		life.Check, life.HealthTimeout, life.Health = []string{"check"}, 300*time.Millisecond,
			container.HealthStarting
		var got []bool
		Early(t.Context(), rt, life, "tcp://localhost:9", func(ok bool) bool {
			got = append(got, ok)
			return ok
		})
		if n := len(got); n < 3 || got[0] || !got[n-1] || runs != n {
			t.Errorf("answers %v of %d runs", got, runs)
		}
	})
}

func TestNothingToAskAsksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, life := starting(t, func(*memory.Process) {})
		never := func(bool) bool { t.Error("it was asked"); return true }
		Early(t.Context(), rt, life, "", never)
		life.Check, life.Health = []string{"true"}, container.Healthy
		Early(t.Context(), rt, life, "http://localhost:8080/", never)

		ctx, cancel := context.WithCancel(t.Context())
		life.Health, life.Check = container.HealthNone, nil
		tries := 0
		Early(ctx, rt, life, "tcp://localhost:9", func(bool) bool { // ends with the engine
			if tries++; tries == 3 {
				cancel()
			}
			return false
		})
		if tries != 3 {
			t.Errorf("%d tries, want 3", tries)
		}
	})
}
