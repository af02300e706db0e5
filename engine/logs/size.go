package logs

import (
	"fmt"
	"strings"

	"github.com/docker/go-units"
)

const (
	leastServiceBytes = 64 << 10
	mostServiceBytes  = 1 << 30 // times services is far more than a machine has left over
)

// ParseSize reads what to keep of each service as people write it: "16MiB", "64m", "1.5g", or a
// number of bytes. The error says what to write instead.
func ParseSize(s string) (int64, error) {
	n, err := units.RAMInBytes(strings.TrimSpace(s))
	if err != nil || n < leastServiceBytes || n > mostServiceBytes {
		return 0, fmt.Errorf("%q is no size of a service's log; write one from 64KiB to 1GiB, as 16MiB", s)
	}
	return n, nil
}
