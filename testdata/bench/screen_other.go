//go:build !linux

package main

import "errors"

var errTerminal = errors.New("its terminal is made on Linux only")

func (b *bench) frame() error { return errTerminal }

func (b *bench) flood() error { return errTerminal }

func (b *bench) follow() error { return errTerminal }
