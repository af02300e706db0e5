//go:build !linux

package main

import "errors"

func (b *bench) frame() error { return errors.New("its terminal is made on Linux only") }
