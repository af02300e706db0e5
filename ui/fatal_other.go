//go:build !unix

package ui

import tea "charm.land/bubbletea/v2"

// onFatalSignal does nothing: there are no such signals here.
func onFatalSignal(*tea.Program, func()) (stop func()) { return func() {} }
