package ui

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// openedMsg is the end of an attempt to open a browser.
type openedMsg struct {
	url string
	err error
}

// portChoices are the ports that o and its digits choose from: the selected service's, else everybody's.
func (m *Model) portChoices() []portOf {
	if !m.f.wide {
		if s := m.selected(); s != nil {
			if own := m.allPorts([]*engine.Service{s}); len(own) > 0 {
				return own
			}
		}
	}
	return m.allPorts(m.everyService())
}

func anyPort(m *Model) bool { return len(m.portChoices()) > 0 }

func doOpen(m *Model) tea.Cmd {
	if s := m.selected(); s != nil {
		if own := m.allPorts([]*engine.Service{s}); len(own) == 1 {
			return m.open(own[0])
		}
	}
	all := m.portChoices()
	if len(all) == 1 {
		return m.open(all[0])
	}
	m.picking = true
	return nil
}

// portMenu lists the digits.
func (m *Model) portMenu() string {
	var parts []string
	for i, p := range m.portChoices() {
		if i == 9 {
			break
		}
		parts = append(parts, fmt.Sprintf("%d %s :%d", i+1, p.service, p.port.Published))
	}
	return strings.Join(parts, "   ")
}

func (m *Model) openPort(i int) tea.Cmd {
	if all := m.portChoices(); i < len(all) {
		return m.open(all[i])
	}
	m.say("no port by that digit")
	return nil
}

func (m *Model) open(p portOf) tea.Cmd {
	host := p.port.Host
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	scheme := "http"
	if p.port.Target == 443 || p.port.Target == 8443 {
		scheme = "https"
	}
	url := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(p.port.Published))
	m.say("opening " + url)
	open := m.opts.OpenURL
	return m.jobs.do("open a browser", func(context.Context) tea.Msg { return openedMsg{url: url, err: open(url)} })
}

// opened tells the address, and copies it when no browser could be started.
func (m *Model) opened(msg openedMsg) tea.Cmd {
	if msg.err == nil {
		m.say("opened " + msg.url)
		return nil
	}
	m.say("no browser here; copying " + msg.url)
	return m.copyText(func() (string, string) { return msg.url, "no browser here; copied " + msg.url }, "")
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
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("WSL_DISTRO_NAME") == "" {
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
