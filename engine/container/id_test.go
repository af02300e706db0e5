package container_test

import (
	"strings"
	"testing"

	"bulkhead/engine/container"
)

func TestShortIDCutsDigestsAlone(t *testing.T) {
	digest := strings.Repeat("0123456789abcdef", 4)
	for in, want := range map[string]string{
		digest:                         "0123456789ab",
		"sha256:" + digest:             "0123456789ab",
		"":                             "",
		"abc123":                       "abc123",
		"orders-7c9d8f6b5d-x2k4q":      "orders-7c9d8f6b5d-x2k4q",
		"shop/orders-7c9d8f6b5d-x2k4q": "shop/orders-7c9d8f6b5d-x2k4q",
	} {
		if got := container.ShortID(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
