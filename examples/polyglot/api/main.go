// Api keeps the links, in Postgres.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "github.com/lib/pq"
)

const schema = `CREATE TABLE IF NOT EXISTS links (
	code text PRIMARY KEY,
	url  text NOT NULL UNIQUE,
	made timestamptz NOT NULL DEFAULT now())`

type link struct {
	Code string `json:"code"`
	URL  string `json:"url"`
}

func main() {
	health := flag.Bool("health", false, "ask the running program whether it is well")
	flag.Parse()
	if *health {
		client := http.Client{Timeout: 2 * time.Second}
		resp, err := client.Get("http://127.0.0.1:8000/health")
		if err != nil || resp.StatusCode != http.StatusOK {
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(5)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /links", func(w http.ResponseWriter, r *http.Request) { list(w, r, db) })
	mux.HandleFunc("POST /links", func(w http.ResponseWriter, r *http.Request) { add(w, r, db) })
	mux.HandleFunc("GET /links/{code}", func(w http.ResponseWriter, r *http.Request) { get(w, r, db) })
	server := &http.Server{Addr: ":8000", Handler: http.TimeoutHandler(mux, 3*time.Second, "")}
	context.AfterFunc(ctx, func() { server.Close() })
	slog.Info("listening", "addr", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func list(w http.ResponseWriter, r *http.Request, db *sql.DB) {
	rows, err := db.QueryContext(r.Context(), `SELECT code, url FROM links ORDER BY made DESC LIMIT 20`)
	if err != nil {
		fail(w, err)
		return
	}
	defer rows.Close()
	links := []link{}
	for rows.Next() {
		var l link
		if err := rows.Scan(&l.Code, &l.URL); err != nil {
			fail(w, err)
			return
		}
		links = append(links, l)
	}
	if err := rows.Err(); err != nil {
		fail(w, err)
		return
	}
	write(w, http.StatusOK, links)
}

func add(w http.ResponseWriter, r *http.Request, db *sql.DB) {
	var l link
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&l); err != nil {
		write(w, http.StatusBadRequest, "not JSON: "+err.Error())
		return
	}
	if u, err := url.Parse(l.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		write(w, http.StatusBadRequest, "an http or https address is wanted")
		return
	}
	// The same address gets the same code again.
	err := db.QueryRowContext(r.Context(),
		`INSERT INTO links (code, url) VALUES ($1, $2) ON CONFLICT (url) DO UPDATE SET url = EXCLUDED.url RETURNING code`,
		rand.Text()[:6], l.URL).Scan(&l.Code)
	if err != nil {
		fail(w, err)
		return
	}
	slog.Info("link kept", "code", l.Code, "url", l.URL)
	write(w, http.StatusCreated, l)
}

func get(w http.ResponseWriter, r *http.Request, db *sql.DB) {
	l := link{Code: r.PathValue("code")}
	err := db.QueryRowContext(r.Context(), `SELECT url FROM links WHERE code = $1`, l.Code).Scan(&l.URL)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		write(w, http.StatusNotFound, "no such link")
	case err != nil:
		fail(w, err)
	default:
		write(w, http.StatusOK, l)
	}
}

func fail(w http.ResponseWriter, err error) {
	slog.Error("database", "err", err)
	write(w, http.StatusServiceUnavailable, "the database does not answer")
}

func write(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(value) // an error means that the client went away
}
