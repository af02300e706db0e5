package engine_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Services whose ports the engine picks out of one range all start, each with its own.
func TestServicesShareARangeOfPorts(t *testing.T) {
	const n = 6
	first := 20000 + os.Getpid()%1000*10 // another run of the tests has another range
	var file strings.Builder
	file.WriteString("services:\n")
	for i := range n {
		fmt.Fprintf(&file, "  s%d: {image: %s, command: %s, ports: [\"127.0.0.1:%d-%d:80\"]}\n", i, baseImage, loop, first, first+9)
	}
	s := open(t, map[string]string{"compose.yaml": file.String()})
	s.up()
	taken := map[int]string{}
	for _, svc := range s.Snapshot().Services {
		if len(svc.Ports) != 1 {
			t.Fatalf("%s has the ports %+v", svc.Name, svc.Ports)
		}
		p := svc.Ports[0].Published
		if other := taken[p]; other != "" || p < first || p > first+9 {
			t.Errorf("%s has port %d, which %q has too, or which is out of the range", svc.Name, p, other)
		}
		taken[p] = svc.Name
	}
}
