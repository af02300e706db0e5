package tail

import (
	"fmt"
	"strconv"
	"time"

	"bulkhead/engine/container"
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
	missed     *missedEnd // nil when it was seen; else exit and oom are there, once they are known
}

// missedEnd is the end of a life that was noticed by the life after it alone. The
// event that says how it was may come later.
type missedEnd struct {
	began time.Time // of that life
	known bool      // exit, oom and cause are set
	exit  int
	oom   bool
	cause string
}

// explain takes over what became known of an end that was missed.
func (t transition) explain() transition {
	if m := t.missed; m != nil && m.known {
		t.exit, t.oom, t.missed = m.exit, m.oom, nil
		if t.cause == "" {
			t.cause = m.cause
		}
	}
	return t
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
	text := fmt.Sprintf("run %d ended: exit code %d", t.generation, t.exit)
	if t.missed != nil {
		text = fmt.Sprintf("run %d ended while bulkhead was not watching", t.generation)
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
		text += ", was up " + container.Brief(t.at.Sub(t.started))
	}
	return text
}

func (t transition) beginning() string {
	text := fmt.Sprintf("run %d started", t.generation)
	switch {
	case t.beside:
		text += ": the one before still serves"
	case !t.at.IsZero() && t.started.Sub(t.at) >= time.Millisecond:
		text += ": was down " + container.Brief(t.started.Sub(t.at))
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
