package fault

import "os"

func bootID() string   { return "" }
func birth(int) string { return "" }

func processRuns(pid int) bool {
	p, err := os.FindProcess(pid)
	if err == nil {
		_ = p.Release() // only a handle
	}
	return err == nil
}
