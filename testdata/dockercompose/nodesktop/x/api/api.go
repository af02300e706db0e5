// Package api is what docker compose needs of a module by which it asks Docker Desktop, on a machine that has none.
package api

// DesktopSocketPath is where Docker Desktop listens: nowhere.
func DesktopSocketPath() string { return "" }
