package ui

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// portOpener opens published ports in the browser.
type portOpener struct {
	e    *env
	sel  *selection
	clip *clipboard

	picking bool // the next digit picks a port
}

// openedMsg is the end of an attempt to open a browser.
type openedMsg struct {
	url string
	err error
}

// publishedPort is one published port that can be opened.
type publishedPort struct {
	service string
	port    engine.Port
}

// publishedPorts lists what is published, by service, each port once.
func publishedPorts(of ...*engine.Service) []publishedPort {
	var out []publishedPort
	for _, s := range of {
		seen := map[int]bool{}
		for _, p := range s.Ports {
			if p.Published > 0 && p.Protocol != "udp" && !seen[p.Published] {
				seen[p.Published] = true
				out = append(out, publishedPort{service: s.Name, port: p})
			}
		}
	}
	return out
}

// pickable is how many ports the digits reach.
const pickable = 9

// choices are the ports that o and its digits choose from: the selected service's, else
// everybody's. A wide screen lists everybody's.
func (o *portOpener) choices() []publishedPort {
	if !o.e.f.wide {
		if s := o.sel.one(); s != nil {
			if own := publishedPorts(s); len(own) > 0 {
				return own
			}
		}
	}
	all := make([]*engine.Service, len(o.e.snap.Services))
	for i := range all {
		all[i] = &o.e.snap.Services[i]
	}
	return publishedPorts(all...)
}

func (o *portOpener) any() bool { return len(o.choices()) > 0 }

// open opens the selected service's port, or the only one there is, or lets a digit pick.
func (o *portOpener) open() tea.Cmd {
	if s := o.sel.one(); s != nil {
		if own := publishedPorts(s); len(own) == 1 {
			return o.browse(own[0])
		}
	}
	if all := o.choices(); len(all) == 1 {
		return o.browse(all[0])
	}
	o.picking = true
	return nil
}

// pick takes the key after open; ok is false where it has its usual meaning.
func (o *portOpener) pick(key string) (cmd tea.Cmd, ok bool) {
	if !o.picking {
		return nil, false
	}
	o.picking = false
	if len(key) == 1 && key[0] >= '1' && key[0] <= '9' {
		if i, all := int(key[0]-'1'), o.choices(); i < len(all) {
			return o.browse(all[i]), true
		}
		o.e.status.set("no port has that digit")
		return nil, true
	}
	return nil, key == "esc"
}

// items are the ports with their digits: "1 gw :80".
func (o *portOpener) items() []string {
	var out []string
	for i, p := range o.choices() {
		if i == pickable {
			break
		}
		out = append(out, fmt.Sprintf("%d %s :%d", i+1, p.service, p.port.Published))
	}
	return out
}

// lines are the items in rows of w cells.
func (o *portOpener) lines(w int) []string {
	var out []string
	line := "  "
	for _, item := range o.items() {
		if width(line)+width(item)+2 > w && line != "  " {
			out = append(out, line)
			line = "  "
		}
		line += " " + item + " "
	}
	if line != "  " {
		out = append(out, line)
	}
	return out
}

func (o *portOpener) browse(p publishedPort) tea.Cmd {
	host := p.port.Host
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	scheme := "http"
	if p.port.Target == 443 || p.port.Target == 8443 {
		scheme = "https"
	}
	url := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(p.port.Published))
	o.e.status.set("opening " + url)
	open := o.e.opts.OpenURL
	return o.e.jobs.do("open a browser", func(context.Context) tea.Msg {
		return openedMsg{url: url, err: open(url)}
	})
}

// receive shows the address that was opened, and copies it when no browser could be started.
func (o *portOpener) receive(msg tea.Msg) (tea.Cmd, bool) {
	opened, ok := msg.(openedMsg)
	switch {
	case !ok:
		return nil, false
	case opened.err == nil:
		o.e.status.set("opened " + opened.url)
		return nil, true
	}
	o.e.status.set("no browser here; copying " + opened.url)
	return o.clip.copy(func() (string, string) {
		return opened.url, "no browser here; copied " + opened.url
	}, ""), true
}

// openURL starts the system's browser and does not wait for it.
func openURL(url string) error {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" &&
			os.Getenv("WSL_DISTRO_NAME") == "" {
			return fmt.Errorf("open %s: no display", url)
		}
	}
	c := exec.Command(name, args...)
	detach(c)
	if err := c.Start(); err != nil {
		return fmt.Errorf("open %s: %w", url, err)
	}
	return c.Process.Release()
}
