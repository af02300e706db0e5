package main

import (
	"slices"
	"strings"
	"testing"
)

// rooms are the packages below the engine, each with those that it may import; watch is the one outside.
const rooms = `
agent                 -
agent/files           agent
agent/netns           agent
agent/process         agent agent/supervisor
agent/relay           agent
agent/supervisor      agent
build                 container hostfile
command               fault project
condition             container project
container             -
container/conformance container
container/memory      container
docker                agent agent/files agent/relay agent/supervisor container hostfile logs
drill                 container fault logs project
edge                  agent fault
fault                 agent container journal
filesync              container hostfile journal project watch
hostcmd               hostfile
hostfile              -
image                 container filesync plan project state step
images                container project step
journal               hostfile
lane                  command condition container filesync hostcmd image journal logs plan project resource state step tail
logs                  -
machine               -
oneoff                container images plan project resource step
plan                  container project watch
probe                 container
project               hostfile
resource              container plan project
state                 condition container drill edge fault hostcmd journal logs machine project step tail
stats                 container state
step                  container filesync journal logs project
sweep                 command container plan project state step
tail                  container logs
`

// Rooms below the engine import no other room than the table says, and each is in it.
func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	const engine = "bulkhead/engine/"
	may := map[string][]string{}
	for line := range strings.Lines(rooms) {
		if words := strings.Fields(line); len(words) > 0 {
			may[words[0]] = words[1:]
		}
	}
	all := packages(t)
	for path, p := range all {
		room, below := strings.CutPrefix(path, engine)
		if !below || strings.HasPrefix(room, "internal/") || room == "agent/main" || room == "agent/build" {
			continue
		}
		if may[room] == nil {
			t.Errorf("%s is not in the table", room)
			continue
		}
		for _, i := range p.Imports {
			other, ours := strings.CutPrefix(i, "bulkhead/")
			if ours && !slices.Contains(may[room], strings.TrimPrefix(other, "engine/")) {
				t.Errorf("%s must not import %s", room, i)
			}
		}
	}
	for room := range may {
		if _, there := all[engine+room]; !there {
			t.Errorf("%s is not there; the table is out of date", room)
		}
	}
}
