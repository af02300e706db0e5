package main

import (
	"os"
	"time"

	"bulkhead/examples/shop/internal/service"
)

// patience is how long the gateway waits for a service behind it. SHOP_WEAK=1 plants a weakness: it
// waits for ever. A service that is killed does not show it, since nobody connects to what is not
// there; one that hangs does, and takes the gateway down with it. The remedy is one line.
func patience() time.Duration {
	if os.Getenv("WEAK") == "1" {
		return 0 // for ever; the remedy: return service.Middle
	}
	return service.Middle
}
