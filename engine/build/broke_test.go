package build

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The client is shared: the one build that meets the broken connection first closes it under the others.
func TestConnectionThatAnotherBuildClosedIsBroken(t *testing.T) {
	for code, want := range map[codes.Code]bool{codes.Unavailable: true, codes.Canceled: true,
		codes.Unknown: false, codes.InvalidArgument: false} {
		if got := broke(fmt.Errorf("failed to call info: %w",
			status.Error(code, "grpc: the client connection is closing"))); got != want {
			t.Errorf("%s: %t", code, got)
		}
	}
}
