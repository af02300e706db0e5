package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bulkhead/engine/container"
)

// volumes is an engine that knows volumes alone. The next calls whose method is in fails are carried out, and
// answered wrongly.
type volumes struct {
	mu     sync.Mutex
	labels map[string]map[string]string // by name
	fails  map[string]string            // how: "cut", "empty", "part", "other", "500", by method
}

func (v *volumes) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Api-Version", "1.41")
	if !strings.Contains(q.URL.Path, "/volumes/") {
		return
	}
	name, code := path.Base(q.URL.Path), http.StatusOK
	switch q.Method {
	case http.MethodPost:
		var made struct {
			Name   string
			Labels map[string]string
		}
		_ = json.NewDecoder(q.Body).Decode(&made)
		if name = made.Name; v.labels[name] == nil {
			v.labels[name] = made.Labels
		}
		code = http.StatusCreated
	case http.MethodDelete:
		delete(v.labels, name)
		code = http.StatusNoContent
	}
	if q.Method == http.MethodGet && v.labels[name] == nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"no such volume"}`)
		return
	}
	body, _ := json.Marshal(map[string]any{"Name": name, "Labels": v.labels[name]})
	how := v.fails[q.Method]
	delete(v.fails, q.Method)
	switch how {
	case "cut":
		panic(http.ErrAbortHandler)
	case "empty":
		body = nil
	case "part":
		body = body[:len(body)/2]
	case "other":
		body = []byte("{}")
	case "500":
		code, body = http.StatusInternalServerError, []byte(`{"message":"out of luck"}`)
	}
	w.WriteHeader(code)
	if code != http.StatusNoContent {
		_, _ = w.Write(body)
	}
}

// knowing is a runtime on an engine of volumes.
func knowing(t *testing.T) (*volumes, *Runtime) {
	v := &volumes{labels: map[string]map[string]string{}, fails: map[string]string{}}
	socket := filepath.Join(socketDir(t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: v}
	go srv.Serve(l)
	rt, err := New(Options{Host: "unix://" + socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close(); srv.Close() })
	return v, rt
}

func (v *volumes) fail(how string, methods ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range methods {
		v.fails[m] = how
	}
}

func TestOneWrongAnswerLosesNoHolder(t *testing.T) {
	me := map[string]string{"user": "ann", "token": "x"}
	for _, how := range []string{"cut", "empty", "part", "other", "500"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			v, rt := knowing(t)
			v.fail(how, "POST", "GET")
			if by, err := rt.HoldProject(t.Context(), "shop", me); err != nil || !maps.Equal(by, me) {
				t.Errorf("the first is held by %v, %v", by, err)
			}
			v.fail(how, "GET")
			if by, err := rt.ProjectHolder(t.Context(), "shop", "user"); err != nil || by["user"] != "ann" {
				t.Errorf("it is held by %v, %v", by, err)
			}
			other := map[string]string{"user": "bob", "token": "y"}
			if by, err := rt.HoldProject(t.Context(), "shop", other); err != nil || !maps.Equal(by, me) {
				t.Errorf("after a second one it is held by %v, %v", by, err)
			}
			v.fail(how, "DELETE")
			if err := rt.ReleaseProject(t.Context(), "shop"); err != nil || len(v.labels) > 0 {
				t.Errorf("released: %v, left %v", err, v.labels)
			}
		})
	}
}

func TestVolumeInTheWayOfANoteIsNamed(t *testing.T) {
	v, rt := knowing(t)
	v.labels["bulkhead-holder-shop"] = map[string]string{"mine": "yes"}
	_, err := rt.HoldProject(t.Context(), "shop", map[string]string{"user": "ann"})
	if !errors.Is(err, container.ErrConflict) || !strings.Contains(err.Error(), "docker volume rm bulkhead-holder-shop") {
		t.Errorf("error %v", err)
	}
	if by, err := rt.ProjectHolder(t.Context(), "shop", "user"); by != nil || err != nil {
		t.Errorf("it is held by %v, %v", by, err)
	}
}

func TestOfALongNoteTheBeginningCounts(t *testing.T) {
	v, rt := knowing(t)
	v.labels["bulkhead-holder-shop"] = map[string]string{holderProject: "shop",
		holderPrefix + "user": strings.Repeat("é", 100_000)}
	by, err := rt.HoldProject(t.Context(), "shop", map[string]string{"user": "ann"})
	if err != nil || by["user"] != strings.Repeat("é", maxNoted/2)+"…" {
		t.Errorf("it is held by %d bytes, %v", len(by["user"]), err)
	}
	long := map[string]string{"user": strings.Repeat("n", 2*maxNoted)}
	if by, err := rt.HoldProject(t.Context(), "other", long); err != nil || !maps.Equal(by, long) {
		t.Errorf("one's own note is read as %v, %v", by, err)
	}
}
