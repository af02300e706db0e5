package container

import "testing"

func TestSignalsAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]int{"SIGTERM": 15, "term": 15, "15": 15, "KILL": 9, "64": 64,
		"RTMIN+3": 0} {
		if n, ok := SignalNumber(text); n != want || !ok {
			t.Errorf("%s is %d, %v; want %d", text, n, ok, want)
		}
	}
	for _, text := range []string{"", "0", "65", "-1", "SIGNAL", "TERM "} {
		if n, ok := SignalNumber(text); ok {
			t.Errorf("%q is %d", text, n)
		}
	}
}

func TestWhatASignalIsToDo(t *testing.T) {
	for _, c := range []struct {
		stop, signal string
		ends, idles  bool
	}{
		{"", "SIGKILL", true, true}, {"", "15", true, true}, {"", "HUP", false, true},
		{"SIGQUIT", "3", true, true}, {"SIGQUIT", "SIGKILL", true, true}, {"SIGQUIT", "TERM", false, false},
		{"RTMIN+3", "RTMIN+4", false, false},
	} {
		in := Instance{StopSignal: c.stop}
		if ends, idles := in.EndsBy(c.signal); ends != c.ends || idles != c.idles {
			t.Errorf("%s to one that stops by %q: ends %v, idles %v", c.signal, c.stop, ends, idles)
		}
	}
}
