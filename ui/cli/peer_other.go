//go:build !linux && !darwin

package cli

import "errors"

// socketPeer is not known here.
func socketPeer(int) (uid int, err error) { return 0, errors.ErrUnsupported }
