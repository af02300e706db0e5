// Command peer is both ends of the traffic that the tests of faults look at: "peer serve" answers,
// the other verbs ask and print one line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const patience = 2 * time.Second // of a caller, where nothing answers

func main() {
	arg := func(i int) string {
		if i < len(os.Args) {
			return os.Args[i]
		}
		return ""
	}
	n, _ := strconv.Atoi(arg(3))
	var out any
	switch arg(1) {
	case "serve":
		if arg(2) == "joined" {
			time.Sleep(1000 * time.Hour) // the ports are those of the service that it lives in
		}
		serve()
	case "get":
		out = get(arg(2))
	case "rtt":
		out, _ = times(arg(2), n)
	case "slowest":
		_, out = times(arg(2), n)
	case "wait":
		time.Sleep(1000 * time.Hour)
	case "squat":
		out = squat(arg(2))
	case "named":
		_, err := net.Dial("unix", arg(2))
		out = why(err)
	case "udp":
		out = send(arg(2), n)
	case "received":
		out = text("http://" + arg(2) + ":8080/received")
	case "download":
		out = download(arg(2), n)
	case "lookup":
		out = lookup(arg(2))
	case "hold":
		out = hold(arg(2), n)
	case "load":
		out = load(arg(2), n)
	case "served":
		out = text("http://" + arg(2) + ":8080/served")
	case "born":
		out = text("http://" + arg(2) + ":8080/born")
	case "pace":
		out = pace(arg(2), n)
	case "burn":
		out = text("http://" + arg(2) + ":8080/burn")
	case "fail":
		out = fail(arg(2), n)
	case "two":
		out = two(arg(2), n)
	case "port":
		out = port(arg(2), arg(3))
	case "alloc":
		out = alloc(arg(2))
	}
	b, _ := json.Marshal(out)
	fmt.Println(string(b))
}

func serve() {
	var received, served, heads atomic.Int64
	pc, err := net.ListenPacket("udp", ":8081")
	if err != nil {
		panic(err)
	}
	go func() {
		for buf := make([]byte, 2048); ; {
			if _, _, err := pc.ReadFrom(buf); err == nil {
				received.Add(1)
			}
		}
	}()
	born := time.Now().UnixNano()
	mux := http.NewServeMux()
	mux.HandleFunc("/born", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, born) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.Write(make([]byte, 1024))
	})
	mux.HandleFunc("/fail", func(w http.ResponseWriter, _ *http.Request) {
		heads.Add(1)
		http.Error(w, "no", 500)
	})
	mux.HandleFunc("/received", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, received.Swap(0))
	})
	mux.HandleFunc("/served", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, served.Swap(0)) })
	mux.HandleFunc("/bytes", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Write(make([]byte, n))
	})
	mux.HandleFunc("/burn", func(w http.ResponseWriter, _ *http.Request) {
		began, used := time.Now(), processor()
		for end := began.Add(3 * time.Second); time.Now().Before(end); {
		}
		fmt.Fprintf(w, "%.3f", float64(processor()-used)/float64(time.Since(began))) // of one core
	})
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	server := http.Server{Addr: ":8080", Handler: mux, Protocols: &both}
	panic(server.ListenAndServe())
}

// processor is the time that this process had of all cores.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// why names an error of a caller.
func why(err error) string {
	var ne net.Error
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "eof"
	case errors.As(err, &ne) && ne.Timeout():
		return "timeout"
	}
	return err.Error()
}

// squat has the name of a socket for good.
func squat(name string) string {
	l, err := net.Listen("unix", name)
	for err == nil {
		var c net.Conn
		if c, err = l.Accept(); err == nil {
			c.Close()
		}
	}
	return why(err)
}

func get(host string) string {
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + host + ":8080/")
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return why(err)
}

func text(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return why(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// times are those of the fastest and of the slowest of n requests, in microseconds; -1 when one fails.
func times(host string, n int) (fastest, slowest int64) {
	best, worst := time.Hour, time.Duration(0)
	for range n {
		began := time.Now()
		resp, err := http.Get("http://" + host + ":8080/")
		if err != nil {
			return -1, -1
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		best, worst = min(best, time.Since(began)), max(worst, time.Since(began))
	}
	return best.Microseconds(), worst.Microseconds()
}

// send sends n datagrams and counts the errors that it got.
func send(host string, n int) int {
	c, err := net.Dial("udp", host+":8081")
	if err != nil {
		return -1
	}
	bad := 0
	for i := range n {
		if _, err := c.Write([]byte(strconv.Itoa(i))); err != nil {
			bad++
		}
		if i%50 == 0 {
			time.Sleep(time.Millisecond) // the receiver has a small buffer
		}
	}
	time.Sleep(300 * time.Millisecond)
	return bad
}

// download is the time that n bytes take, in microseconds.
func download(host string, n int) int64 {
	began := time.Now()
	resp, err := http.Get(fmt.Sprintf("http://%s:8080/bytes?n=%d", host, n))
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	if got, err := io.Copy(io.Discard, resp.Body); err != nil || got != int64(n) {
		return -1
	}
	return time.Since(began).Microseconds()
}

func lookup(name string) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := (&net.Resolver{PreferGo: true}).LookupHost(ctx, name)
	var d *net.DNSError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &d) && d.IsNotFound:
		return "nxdomain"
	case errors.As(err, &d) && d.IsTimeout:
		return "timeout"
	case errors.As(err, &d):
		return d.Err
	}
	return err.Error()
}

// hold opens a connection, uses it for n tenths of a second, and says how that went.
func hold(host string, n int) string {
	c, err := net.Dial("tcp", host+":8080")
	if err != nil {
		return why(err)
	}
	fmt.Println("open")
	for range n {
		c.SetDeadline(time.Now().Add(patience))
		if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return why(err)
		}
		if _, err := io.ReadAtLeast(c, make([]byte, 4096), 1024); err != nil {
			return why(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "ok"
}

// load makes n requests from several callers, some on new connections, and returns how many were answered.
func load(host string, n int) int64 {
	var done atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
			for j := range n / 8 {
				resp, err := c.Get(fmt.Sprintf("http://%s:8080/orders/%d", host, j))
				if err != nil {
					continue
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				done.Add(1)
			}
		}()
	}
	wg.Wait()
	return done.Load()
}

// paced is how long requests took, in microseconds; N is how many were answered.
type paced struct{ N, P50, P99 int64 }

// pace makes n requests, 500 a second, on new and on kept connections in turn.
func pace(host string, n int) any {
	clients := []*http.Client{{Transport: &http.Transport{DisableKeepAlives: true}},
		{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}
	addresses, err := net.LookupHost(host) // once: questions for names are not what is measured
	if err != nil {
		return why(err)
	}
	var mu sync.Mutex
	took := make([][]time.Duration, len(clients))
	var wg sync.WaitGroup
	tick := time.NewTicker(2 * time.Millisecond)
	for i := range n {
		<-tick.C
		wg.Add(1)
		go func() {
			defer wg.Done()
			began := time.Now()
			resp, err := clients[i%2].Get("http://" + net.JoinHostPort(addresses[0], "8080") + "/")
			if err != nil {
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			mu.Lock()
			took[i%2] = append(took[i%2], time.Since(began))
			mu.Unlock()
		}()
	}
	wg.Wait()
	of := func(all []time.Duration) paced {
		slices.Sort(all)
		k := len(all)
		if k == 0 {
			return paced{}
		}
		return paced{int64(k), all[k/2].Microseconds(), all[k*99/100].Microseconds()}
	}
	return struct{ New, Kept paced }{of(took[0]), of(took[1])}
}

// fail makes n requests that the server answers with an error.
func fail(host string, n int) string {
	for range n {
		resp, err := http.Get("http://" + host + ":8080/fail")
		if err != nil {
			return why(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return "ok"
}

// two sends n requests over one HTTP/2 connection without TLS, and returns how many were answered.
func two(host string, n int) (done int) {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	c := http.Client{Timeout: patience, Transport: &http.Transport{Protocols: &only}}
	for i := range n {
		resp, err := c.Get(fmt.Sprintf("http://%s:8080/two/%d", host, i))
		if err != nil {
			continue
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		done++
	}
	return done
}

// port connects to a port and reads from it.
func port(host, number string) string {
	c, err := net.Dial("tcp", host+":"+number)
	if err != nil {
		return why(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	_, err = c.Read(make([]byte, 1))
	return why(err)
}

func alloc(text string) string {
	n, _ := strconv.Atoi(text)
	b := make([]byte, n)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return "ok"
}
