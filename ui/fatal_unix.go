//go:build unix

package ui

import (
	"os"
	"os/signal"
	"syscall"

	tea "charm.land/bubbletea/v2"
)

// onFatalSignal hands the terminal back before SIGQUIT or SIGABRT end the program as they always
// do, with the stacks of all goroutines; stop ends that.
func onFatalSignal(p *tea.Program, restore func()) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGQUIT, syscall.SIGABRT)
	go func() {
		select {
		case s := <-signals:
			_ = p.ReleaseTerminal() // the terminal is all that is left to care for
			restore()
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
