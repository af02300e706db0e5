package docker

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine/container"
)

// What a container's links are is told alike by what reads them from here and by the engine, also
// of links that lead nowhere and in circles.
func TestLinksAreToldAlikeWhoeverIsAsked(t *testing.T) {
	b := open(t, "services:\n  web: {image: IMAGE, command: [sleep, '600']}\n")
	id := b.start("web")
	b.run(id, "sh", "-c",
		"mkdir -p /t/real; echo x > /t/real/f; cd /t; ln -s real in; ln -s /no/where nowhere; ln -s loop loop; ln -s two one; ln -s one two; ln -s real/f file")
	paths := strings.Fields(
		"/t /t/real/f /t/in /t/in/f /t/in/none /t/nowhere /t/nowhere/f /t/loop /t/loop/f /t/one /t/file /t/file/f")
	const want = "/t=dir /t/file=link:/t/real/f /t/in=link:/t/real /t/in/f=file /t/loop=link:/t/loop /t/nowhere=link:/no/where /t/one=link:* /t/real/f=file"
	look := func(all map[string]container.Entry, err error) string {
		t.Helper()
		b.ok(err)
		var out []string
		for _, at := range slices.Sorted(maps.Keys(all)) {
			what := "file"
			switch e := all[at]; {
			case e.Mode.IsDir():
				what = "dir"
			case at == "/t/one": // that it is one is all that the engine tells of a circle
				what = "link:*"
			case e.Mode&fs.ModeSymlink != 0:
				what = "link:" + e.Link
				if !path.IsAbs(e.Link) { // the engine tells of the whole way
					what = "link:" + path.Join("/t", e.Link)
				}
			}
			out = append(out, fmt.Sprintf("%s=%s", at, what))
		}
		return strings.Join(out, " ")
	}
	if got := look(b.rt.Stat(b.ctx, id, paths)); got != want {
		t.Errorf("while it runs:\n%s\nwant\n%s", got, want)
	}
	b.ok(b.rt.Stop(b.ctx, id, 0))
	if got := look(b.rt.Stat(b.ctx, id, paths)); got != want {
		t.Errorf("by the engine:\n%s\nwant\n%s", got, want)
	}
}
