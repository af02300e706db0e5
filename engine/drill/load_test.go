package drill

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bulkhead/engine/container"
)

// A load whose URL belongs to no service proves nothing, and nobody has to find that out by the matrix.
func TestLoadThatProvesNothingIsSaid(t *testing.T) {
	front := httptest.NewServer(http.NotFoundHandler())
	defer front.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + gone.Addr().String()
	gone.Close()
	ports := map[int]string{portOf(front.URL): "web"}
	other := map[int]string{1: "db"}
	for name, c := range map[string]struct {
		url         string
		ports       map[int]string
		note, fails string
	}{
		"of a service":           {url: front.URL + "/x", ports: ports},
		"no load":                {ports: ports},
		"of a program before it": {url: front.URL, ports: other, note: "evidence of nobody; published are 1 (db)"},
		"of nobody":              {url: nobody, ports: other, fails: "nothing answers there"},
		"nothing is published":   {url: front.URL, note: "no service publishes a port"},
	} {
		note, err := Load{URL: c.url, Rate: 5}.checkTarget(t.Context(), c.ports)
		if !strings.Contains(note, c.note) || c.note == "" && note != "" || (err != nil) != (c.fails != "") ||
			err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %q, %v", name, note, err)
		}
	}
}

func TestLoadOfWhichAllFailsIsNoted(t *testing.T) {
	d := New(nil, Options{Load: Load{URL: "http://localhost:8080/", Rate: 5}})
	services := []Service{{Name: "web"}}
	services[0].Ports = []container.Port{{Published: 8080}}
	now := span{at(0), at(10)}
	if got := d.loadNote(services, now); got != "" {
		t.Errorf("nothing was asked: %q", got)
	}
	d.book.addAnswer("web", answer{sent: at(1), done: at(1), request: true, err: "it answers 502"})
	d.book.addAnswer("web", answer{sent: at(1), done: at(1)}) // a probe
	if got := d.loadNote(services, now); !strings.Contains(got, "all 1 requests") || !strings.Contains(got, "502") {
		t.Errorf("%q", got)
	}
	d.book.addAnswer("web", answer{sent: at(2), done: at(2), request: true})
	if got := d.loadNote(services, now); got != "" {
		t.Errorf("one was answered: %q", got)
	}
}
