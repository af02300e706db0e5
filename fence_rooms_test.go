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
		"container":             {},
		"container/memory":      {engine + "container"},
		"container/conformance": {engine + "container"},
		"machine":               {},
		"plan":                  {engine + "container", engine + "project", "bulkhead/watch"},
		"resource":              {engine + "container", engine + "plan", engine + "project"},
		"images":                {engine + "container", engine + "project", engine + "step"},
		"drill":                 {engine + "container", engine + "fault", engine + "logs", engine + "project"},
		"hostcmd":               {engine + "hostfile"},
		"hostfile":              {},
		"journal":               {engine + "hostfile"},
		"filesync": {engine + "container", engine + "hostfile", engine + "journal",
			engine + "project", "bulkhead/watch"},
		"condition": {engine + "container", engine + "project"},
		"probe":     {engine + "container"},
		"stats":     {engine + "container", engine + "state"},
		"command":   {engine + "fault", engine + "project"},
		"image": {engine + "container", engine + "filesync", engine + "plan", engine + "project",
			engine + "state", engine + "step"},
		"edge": {engine + "agent", engine + "fault"},
		"state": {engine + "condition", engine + "container", engine + "drill", engine + "edge",
			engine + "fault", engine + "hostcmd", engine + "journal", engine + "logs", engine + "machine",
			engine + "project", engine + "step", engine + "tail"},
		"lane": {engine + "command", engine + "condition", engine + "container", engine + "filesync",
			engine + "hostcmd", engine + "image",
			engine + "journal", engine + "logs", engine + "plan", engine + "project", engine +
				"resource", engine + "state", engine + "step", engine + "tail"},
		"oneoff": {engine + "container", engine + "images", engine + "plan", engine +
			"project", engine + "resource", engine + "step"},
		"sweep": {engine + "command", engine + "container", engine + "plan", engine +
			"project", engine + "state", engine + "step"},
		"fault":            {engine + "agent", engine + "container", engine + "journal"},
		"agent":            {},
		"agent/files":      {engine + "agent"},
		"agent/netns":      {engine + "agent"},
		"agent/process":    {engine + "agent", engine + "agent/supervisor"},
		"agent/relay":      {engine + "agent"},
		"agent/supervisor": {engine + "agent"},
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
