package main

import (
	"slices"
	"strings"
	"testing"
)

// Rooms below the engine import no other room than these, directly. A room that is not listed here is held by the bans
// of TestPackagesStayBehindTheFence alone.
func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	const engine = "bulkhead/engine/"
	all := packages(t)
	for room, may := range map[string][]string{
		"journal":  {},
		"filesync": {engine + "container", engine + "hostfile", engine + "journal", engine + "project", "bulkhead/watch"},
	} {
		p, ok := all[engine+room]
		if !ok {
			t.Errorf("%s is not there; the fence is out of date", room)
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "bulkhead/") && !slices.Contains(may, i) {
				t.Errorf("%s must not import %s", room, i)
			}
		}
	}
}
