//go:build linux && !amd64 && !arm64

package process

import "errors"

func nowhere(int) error { return errors.ErrUnsupported }
