package agent

import (
	"context"
	"errors"
	"testing"
)

// Whoever sees the end of an agent first still gets what it said before.
func TestGreetingIsTakenThoughTheAgentHasEnded(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	for range 50 { // a select of two that are ready takes either
		greeting := make(chan string, 1)
		greeting <- "no access"
		if first, err := Greeting(t.Context(), greeting, ended); first != "no access" || err != nil {
			t.Fatalf("%q, %v", first, err)
		}
	}
	if _, err := Greeting(t.Context(), make(chan string), ended); !errors.Is(err, ErrEnded) {
		t.Errorf("one that says nothing and ends: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Greeting(ctx, make(chan string), make(chan struct{})); !errors.Is(err, context.Canceled) {
		t.Errorf("one that nobody waits for: %v", err)
	}
}
