package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/logs"
)

// shopWithStderr is the shop with lines on stderr, and with two replicas of web.
func shopWithStderr() *fake {
	b := shop()
	b.store.Append("api", 1, 3, logs.Stderr, start.Add(-50*time.Millisecond),
		[]byte("fail: Orders[0] cannot reach the worker"))
	b.store.Append("api", 1, 3, logs.Stderr, start.Add(-40*time.Millisecond), []byte("      at Orders.Place()"))
	web := &b.snap.Services[5]
	web.Wanted = 2
	second := web.Replicas[0]
	second.Number, second.Name = 2, "shop-web-2"
	web.Replicas = append(web.Replicas, second)
	b.store.Append("web", 2, 1, logs.Stdout, start.Add(-30*time.Millisecond),
		[]byte("INFO  hello from the second"))
	return b
}

func TestMutedServiceIsSaidInItsRowAndInTheTitle(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("-")
	s.wait("api muted, = unmutes", " >⊘● api", "all but api")
	s.gone("api    INFO")
	s.golden("muted-80x24")
	s.keys("G", "k", "-") // web
	s.wait("all but api, web")
	s.gone("rendered /cart")
	s.keys("2", "/", "rendered", "enter") // it stays muted while something is looked for
	s.wait("0 of 3 lines")
	s.keys("esc")
	s.b.write("later", "a service that comes later", start)
	s.wait("a service that comes later", "all but api, web")
	s.keys("1", "enter")
	s.wait("rendered /cart") // asked for by its name
	s.keys("enter", "-")
	s.wait("web unmuted", "all but api ")
	s.keys("=")
	s.wait("api unmuted", "api    INFO", "all services")
	s.quit()
}

func TestMuteInTheLogsIsForTheLinesService(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("2", "k", "-") // the cursor stands on a line of db
	s.wait("db muted", "all but db")
	s.gone("checkpoint complete")
	s.wait("GET /orders 200 15ms", "⊘● db")
	s.keys("=")
	s.wait("checkpoint complete")
	s.quit()
}

func TestCursorStaysInSightWhenLinesComeBackAboveIt(t *testing.T) {
	b := shop()
	for i := range 30 {
		b.write("db", fmt.Sprintf("line %d between", i), start.Add(-2*time.Second))
	}
	s := openScreen(t, b, 80, 24)
	s.wait("line 29 between")
	s.keys("j", "j", "-", "2", "k") // db
	s.wait("all but db", ">12:04:30 web    INFO  GET /cart")
	s.keys("=")
	s.wait("line 29 between", ">12:04:30 web    INFO  GET /cart")
	s.quit()
}

func TestStreamsAreToldApartAndSplit(t *testing.T) {
	s := openScreen(t, shopWithStderr(), 80, 24)
	s.wait("api   ┊fail: Orders[0]", "api   ┊      at Orders")
	s.keys("2", "c")
	s.wait("following · stderr")
	s.gone("GET /orders")
	s.wait("api    fail: Orders[0]") // no sign where all lines are of it
	s.golden("stderr-80x24")
	s.keys("c")
	s.wait("following · stdout", "GET /orders")
	s.gone("Orders[0]")
	s.keys("c")
	s.wait("all services · following", "Orders[0]", "GET /orders")
	s.keys("c", "esc")
	s.gone("· stderr")
	s.quit()
}

func TestOneReplicasLogs(t *testing.T) {
	s := openScreen(t, shopWithStderr(), 80, 24)
	s.wait("web/2  INFO  hello from the second")
	s.keys("G", "k", "right", "j", "j", "enter")
	s.wait("└ ● 2", "web/2 · following", "hello from the second")
	s.gone("rendered /cart")
	s.keys("k")
	s.wait("web/1 · following", "rendered /cart")
	s.gone("hello from the second")
	s.keys("k")
	s.wait("web · following", "rendered /cart", "hello from the second")
	s.quit()
}

func TestTimeWindowByTextByEventAndByMark(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("2", "T")
	s.wait("since", "until", "12:04:28  worker  exited 1")
	s.golden("window-80x24")
	s.keys("soon", "enter")
	s.wait("since: write a duration as 10m")
	for range 4 {
		s.keys("backspace")
	}
	s.keys("2s", "enter")
	s.wait("since 12:04:29", "upstream worker 502")
	s.gone("connection refused")
	s.golden("since-80x24")
	s.keys("T", "tab", "12:04:28", "enter")
	s.wait("since is not before until")
	s.keys("esc", "esc")
	s.wait("all services · following ─", "connection refused")

	// An event as the border: the down arrow picks the latest, then the one before.
	s.keys("T", "down", "down", "enter")
	s.wait("since 12:04:28", "run 3 ended")
	s.gone("rendered /cart")
	s.keys("esc", "k", "k", "k", "m", "T", "tab")
	s.wait("MARK")
	s.keys("down", "down", "enter") // until the mark, which is the latest but one
	s.wait("until 12:04:29", "upstream worker 502")
	s.gone("MARK")
	s.quit()
}

func TestLineOpensInItsPlace(t *testing.T) {
	b := shop()
	b.write("api", strings.Repeat("a long line that goes on ", 10)+"to its end", start.Add(time.Second))
	b.write("db", "short", start.Add(2*time.Second))
	s := openScreen(t, b, 80, 24)
	s.wait("short")
	s.keys("2", "space") // the last line, which has no more to it
	s.wait("all of this line is shown already", "paused")
	s.keys("k", "space")
	s.wait(" its end")
	s.keys("space")
	s.gone(" its end")
	s.keys("k", "k", "k", "k", "space") // the line in JSON
	s.wait("5 below", `>12:04:29 api    INFO  GET /orders status=200 dur_ms=14`, `"status": 200`,
		`"dur_ms": 14`)
	s.golden("open-line-80x24")
	s.keys("j")
	s.wait(">12:04:30 web", `"status": 200`) // it stays open behind the cursor
	s.keys("esc")
	s.gone(`"status": 200`)
	s.wait("paused")
	s.quit()
}
