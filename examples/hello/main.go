// Hello answers every request with a greeting. Save this file and look again.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		log.Println(r.Method, r.URL)
		fmt.Fprintln(w, "Hello!")
	})
	go func() { log.Fatal(http.ListenAndServe(":8000", nil)) }()
	log.Println("listening on :8000")
	log.Println("stopped by", <-stop)
}
