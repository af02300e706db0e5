// Package duration writes spans of time for columns: the screen and the tables of the verbs show the same words.
// It owns no clock and knows nothing of what took the time. ui and ui/cli call it; what the engine writes into
// lines of text has more room, and goes by container.Brief.
package duration

import (
	"fmt"
	"time"
)

// Age is how long ago something was, in its largest unit and at most four cells: "0s", "59s", "14m", "23h", "12d".
func Age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", min(int(d.Hours()/24), 999))
}

// Left is how long something still has, by the second: "42s", "4m09s".
func Left(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}

// Took is how long something took, in at most five cells: "0.04s", "0.9s", "14.2s", "3m02s", "18m".
func Took(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.2fs", max(d, 0).Seconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 10*time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return Age(d)
}
