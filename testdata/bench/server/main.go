// Server is what the measured services run: a small HTTP server that tells which version of its program answers.
//
//	server          serves / (its version), /data/ (files) and /holding?text= (how many of them hold just that text); ends by SIGTERM,
//	                after the requests under way
//	server -stubborn  the same, and ignores SIGTERM
//	server -check   asks the server beside it once; for healthchecks
//	server -client URL   asks URL over and over, and serves what became of it at /
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const address = ":8080"

// built is the version of a program that was compiled for it; "" where the version stands behind
// the end of the program.
var built string

func main() {
	mode := strings.Join(os.Args[1:], " ")
	var err error
	switch url, client := strings.CutPrefix(mode, "-client "); {
	case mode == "-check":
		err = check()
	case client:
		http.Handle("/", ask(url))
		err = serve(false)
	default:
		text := version()
		http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
		http.Handle("/data/", http.FileServer(http.Dir("/")))
		http.HandleFunc("/holding", holding)
		err = serve(mode == "-stubborn")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(stubborn bool) error {
	s := &http.Server{Addr: address}
	ended := make(chan struct{})
	if stubborn {
		signal.Ignore(syscall.SIGTERM)
	} else {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		go func() {
			<-stop
			_ = s.Shutdown(context.Background()) // without a deadline it only ends well
			close(ended)
		}()
	}
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended
	return nil
}

// version is what stands behind the last "version:" of the program's own file.
func version() string {
	if built != "" {
		return built
	}
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err.Error()
	}
	i := bytes.LastIndex(program, []byte("version:"))
	return string(program[i+len("version:"):])
}

func holding(w http.ResponseWriter, r *http.Request) {
	files, err := os.ReadDir("/data")
	n := 0
	for _, f := range files {
		if text, err := os.ReadFile("/data/" + f.Name()); err == nil && string(text) == r.FormValue("text") {
			n++
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, n)
}

func check() error {
	res, err := http.Get("http://localhost" + address)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// tally is what became of a client's requests.
type tally struct {
	Asked, Failed, Retried int
	SlowestMS              int64
	Failure                string // the last one
}

// ask begins four clients that open a connection for each request, and try once more when it is refused.
func ask(url string) http.Handler {
	var mu sync.Mutex
	var t tally
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	get := func() error {
		res, err := c.Get(url)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	for range 4 {
		go func() {
			for ; ; time.Sleep(5 * time.Millisecond) {
				began := time.Now()
				err := get()
				again := errors.Is(err, syscall.ECONNREFUSED)
				if again {
					err = get()
				}
				mu.Lock()
				t.Asked++
				if again {
					t.Retried++
				}
				if err != nil {
					t.Failed++
					t.Failure = err.Error()
				}
				t.SlowestMS = max(t.SlowestMS, time.Since(began).Milliseconds())
				mu.Unlock()
			}
		}()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(w).Encode(t) // who asks sees a cut answer
	})
}
