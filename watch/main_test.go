package watch

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for a thing before it fails: far longer
// than the slowest machine needs. No test judges how long a thing took.
const patience = 3 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
