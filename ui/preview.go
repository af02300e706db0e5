package ui

import (
	"context"
	"errors"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// previewAfter is how long a line has no end until it is shown: what a program writes in two pieces
// shows up as its log line only.
const previewAfter = 150 * time.Millisecond

// preview shows below the newest log line what the one shown service wrote without ending the line:
// a prompt, a progress bar. The stream behind it is open only while that service alone is shown.
type preview struct {
	e    *env
	open *previewStream // nil: none
	held bool           // no stream may be open
	lost bool           // the runtime has no previews
	text string         // as it was written; "" for none
}

// previewMsg is the unfinished line as it is now.
type previewMsg struct {
	from *previewStream
	text string
}

// previewEndMsg says that a stream is closed.
type previewEndMsg struct {
	from *previewStream
	err  error
}

// previewStream is the output of one replica.
type previewStream struct {
	of     target
	cancel context.CancelFunc
	over   <-chan struct{} // to be closed
	ended  chan struct{}   // it is closed
	news   chan struct{}   // capacity 1: the text has changed

	mu    sync.Mutex
	text  string
	since time.Time // when the line had its first character
}

// set takes in what the line is now.
func (s *previewStream) set(text string) {
	s.mu.Lock()
	if s.text == "" || text == "" {
		s.since = time.Now()
	}
	s.text = text
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// due returns the line to be shown, and how long one that is younger has to wait.
func (s *previewStream) due() (text string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := time.Since(s.since); s.text != "" && age < previewAfter {
		return "", previewAfter - age
	}
	return s.text, 0
}

// settle opens the stream of a replica, and closes that of another one; none: nobody's.
func (p *preview) settle(of target) tea.Cmd {
	if p.held || p.lost || !p.e.snap.Caps.Preview {
		of = target{}
	}
	if p.open != nil {
		if p.open.of == of {
			return nil
		}
		p.open.cancel()
		p.open, p.text = nil, ""
	}
	if of == (target{}) {
		return nil
	}
	s := &previewStream{of: of, ended: make(chan struct{}), news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(p.e.jobs.ctx)
	s.cancel, s.over, p.open = cancel, ctx.Done(), s
	backend := p.e.backend
	follow := p.e.jobs.do("preview "+of.service, func(context.Context) tea.Msg {
		defer close(s.ended)
		defer cancel()
		return previewEndMsg{from: s, err: backend.Preview(ctx, of.service, of.replica, s.set)}
	})
	return tea.Batch(follow, p.look(s, ""))
}

// look waits until another line than shown is due, not before a frame is over.
func (p *preview) look(s *previewStream, shown string) tea.Cmd {
	return p.e.jobs.do("wait for a line without an end", func(context.Context) tea.Msg {
		for wait := frameTime; ; {
			select {
			case <-time.After(wait):
			case <-s.over:
				return nil
			}
			var text string
			if text, wait = s.due(); text != shown {
				return previewMsg{from: s, text: text}
			}
			if wait == 0 {
				select {
				case <-s.news:
				case <-s.over:
					return nil
				}
				wait = frameTime
			}
		}
	})
}

// receive implements receiver.
func (p *preview) receive(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case previewMsg:
		if msg.from != p.open {
			return nil, true
		}
		p.text = msg.text
		return p.look(msg.from, msg.text), true
	case previewEndMsg:
		if msg.from == p.open {
			p.open, p.text = nil, ""
			p.lost = errors.Is(msg.err, engine.ErrUnsupported)
		}
		return nil, true
	}
	return nil, false
}

// hold closes the stream, and keeps it closed until it is let go: a process that is suspended does
// not read, and what it is attached to would wait for it. The command returns once it is closed.
func (p *preview) hold() tea.Cmd {
	p.held = true
	s := p.open
	p.settle(target{})
	if s == nil {
		return nil
	}
	return p.e.jobs.do("close the preview", func(ctx context.Context) tea.Msg {
		select {
		case <-s.ended:
		case <-ctx.Done():
		}
		return nil
	})
}

// row draws the line in w cells behind lead blanks, "" for none.
func (p *preview) row(lead, w int) string {
	if p.text == "" || w <= lead {
		return ""
	}
	text := string(logs.Plain(nil, []byte(p.text)))
	if text == "" {
		return ""
	}
	if over := width(text) - (w - lead); over > 0 {
		text = ansi.TruncateLeft(text, over+1, "…")
	}
	return p.e.st.dim.s(fit(spaces(lead)+text, w))
}
