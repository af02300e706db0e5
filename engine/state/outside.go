package state

// Outside is what another program did to a container by which it does not run.
type Outside uint8

const (
	OutsideNothing Outside = iota
	OutsideStopped         // sent it a signal that ended it, and not SIGKILL
	OutsideKilled          // SIGKILL
	OutsidePaused
	OutsideRemoved
)

var outsideNames = [...]string{"", "stopped", "killed", "paused", "removed"}

// String returns what was done in a word, "" for nothing.
func (o Outside) String() string {
	if int(o) < len(outsideNames) {
		return outsideNames[o]
	}
	return outsideNames[0]
}

// faultOf is what a ledger calls it.
var faultOf = map[Outside]string{OutsideStopped: "stop", OutsideKilled: "SIGKILL"}

// endedBy is how a container ended that another program sent a signal, by its number, before; "" is none.
func endedBy(signal string) Outside {
	switch signal {
	case "2", "3", "15":
		return OutsideStopped
	case "9":
		return OutsideKilled
	}
	return OutsideNothing // by itself, as far as one can tell
}
