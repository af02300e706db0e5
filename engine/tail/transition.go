package tail

import (
	"fmt"
	"strconv"
	"time"
)

// transition is the end of one generation, or the beginning of one after another.
type transition struct {
	kind       transitionKind
	generation int
	started    time.Time
	at         time.Time // of an end; of a beginning: the end before it, zero when none is known
	cause      string
	beside     bool // of a beginning: the generation before goes on meanwhile
	exit       int  // these three of an end
	oom        bool
	unseen     bool // nobody was there: exit and oom are not known
}

type transitionKind uint8

const (
	transitionUnknown transitionKind = iota
	generationBegan
	generationEnded
)

// text is the separator in words.
func (t transition) text() string {
	if t.kind == generationEnded {
		return t.ending()
	}
	return t.beginning()
}

func (t transition) ending() string {
	text := fmt.Sprintf("gen %d ended: exit code %d", t.generation, t.exit)
	if t.unseen {
		text = fmt.Sprintf("gen %d ended unseen", t.generation)
	}
	if n := t.exit - 128; n > 0 && n < 65 {
		text += " (signal " + linuxSignal(n) + ")"
	}
	if t.oom {
		text += ", out of memory"
	}
	if t.cause != "" {
		text += ", " + t.cause
	}
	if !t.started.IsZero() && t.at.After(t.started) {
		text += ", was up " + brief(t.at.Sub(t.started))
	}
	return text
}

func (t transition) beginning() string {
	text := fmt.Sprintf("gen %d began", t.generation)
	switch {
	case t.beside:
		text += ": the one before still serves"
	case !t.at.IsZero():
		text += ": was down " + brief(max(t.started.Sub(t.at), 0))
	}
	if t.cause != "" {
		text += ", " + t.cause
	}
	return text
}

// linuxSignal returns the name of a signal, or its number where it has none.
func linuxSignal(n int) string {
	if name := linuxSignalName(n); name != "" {
		return name
	}
	return strconv.Itoa(n)
}

// brief writes a duration as people say it: "850ms", "2.3s", "14m02s".
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
