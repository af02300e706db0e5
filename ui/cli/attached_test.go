package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// Whoever waits for lines to be printed has them, and waits for nobody once the printing has ended.
func TestDrainWaitsForTheLinesThatAreThere(t *testing.T) {
	store := logs.New(logs.Options{})
	var out strings.Builder
	at := &attachment{shown: map[string]bool{"a": true}, out: newPrinter(&out), errs: newPrinter(&out)}
	at.p = &project.Project{Separator: "-"}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); at.printLogs(ctx, store.Follow(logs.Filter{})) }()
	for i := range 50 {
		line := strings.Repeat("x", i+1)
		store.Append("a", 1, 1, logs.Stdout, time.Unix(int64(i), 0), []byte(line))
		at.drain(t.Context())
		if !strings.HasSuffix(out.String(), " "+line+"\n") {
			t.Fatalf("after %d lines it printed %q", i+1, out.String())
		}
	}
	end()
	<-ended
	at.drain(t.Context())
}
