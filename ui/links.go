package ui

import (
	"bytes"
	"cmp"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine/logs"
)

const (
	keptMentions = 2000             // texts whose paths are remembered
	keptFiles    = 4000             // paths whose files are remembered
	fileAge      = 10 * time.Second // after which the disk is asked again
	longestLink  = 2000             // bytes of a URL; VTE takes 2083
)

// links makes hyperlinks (OSC 8) of the paths that the main pane shows and that lead to files of
// this machine. They are put into rows that are clean already: no sequence of anybody else passes.
type links struct {
	e    *env
	src  *sources
	on   bool
	host string // of the URLs: a terminal may be on another machine

	mentions map[string][]mention // by the text that they are in
	files    map[pathOf]foundFile
	wanted   map[pathOf]bool // that are seen, and to be looked for
	looking  bool
}

// mention is a place as a text names it: `File "app.py", line 7` and the path in it.
type mention struct{ text, path string }

// pathOf is a path as a service names it.
type pathOf struct{ service, path string }

// foundFile is the file that a path leads to, "" for none.
type foundFile struct {
	file string
	at   time.Time // when the disk was asked
}

// filesMsg is what was found on the disk.
type filesMsg map[pathOf]string

// sourceRow is a row of a pane as it was drawn last, with the whole text that it is a part of: half
// a path at the end of a row leads elsewhere.
type sourceRow struct {
	x, y     int // in the pane
	services []string
	text     []byte // uncleaned
}

// A linker is a pane, or what lies over the panes, whose rows may name files.
type linker interface{ sourceRows() []sourceRow }

// linked is a linker with the part of the screen that it was drawn on.
type linked struct {
	linker
	at rect
}

func newLinks(e *env, src *sources) *links {
	l := &links{e: e, src: src, mentions: map[string][]mention{}, files: map[pathOf]foundFile{},
		wanted: map[pathOf]bool{}}
	o := &e.opts
	l.on = o.Config.Links != "off" && !lacksLinks(o.Environ) && themeOf(o.Config.Theme, o.Environ) != "none"
	if host, err := os.Hostname(); err == nil && hostName.MatchString(host) {
		l.host = host
	}
	return l
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)

// lacksLinks says whether a terminal is known to show no links: some of these would print the URL.
func lacksLinks(environ []string) bool {
	term := envOf(environ, "TERM")
	return term == "linux" || term == "dumb" || strings.HasPrefix(term, "vt") ||
		strings.HasPrefix(term, "eterm") ||
		envOf(environ, "STY") != "" && envOf(environ, "TMUX") == "" // GNU screen drops them
}

// lay puts the links of the shown parts into the content of the screen.
func (l *links) lay(content string) string {
	if !l.on {
		return content
	}
	var rows []string
	for _, part := range l.e.linked() {
		r := part.at
		var last linkRow // above, where it is a part of the same text
		for _, s := range part.sourceRows() {
			found := l.mentionsIn(s.text)
			y := r.y + s.y
			if len(found) == 0 || s.y >= r.h {
				continue
			}
			if rows == nil {
				rows = strings.Split(content, "\n")
			}
			if y >= len(rows) {
				continue
			}
			row := linkRow{y: y, text: s.text, plain: ansi.Strip(rows[y]), x: r.x + s.x, end: r.x + r.w}
			l.find(&row, s.services, found)
			if last.y == y-1 && bytes.Equal(last.text, s.text) {
				l.findBroken(&last, &row, s.services, found)
			}
			if last.plain != "" {
				rows[last.y] = withLinks(rows[last.y], last.spans)
			}
			last = row
		}
		if last.plain != "" {
			rows[last.y] = withLinks(rows[last.y], last.spans)
		}
	}
	if rows == nil {
		return content
	}
	return strings.Join(rows, "\n")
}

// mentionsIn returns the places that a text names.
func (l *links) mentionsIn(raw []byte) []mention {
	raw = raw[:min(len(raw), shownBytes)]
	if !mayMention(raw) {
		return nil
	}
	if found, ok := l.mentions[string(raw)]; ok {
		return found
	}
	if len(l.mentions) >= keptMentions {
		clear(l.mentions)
	}
	var found []mention
	text := string(logs.Plain(nil, raw))
	for _, re := range named {
		for _, m := range re.FindAllStringSubmatch(text, 8) {
			found = append(found, mention{text: m[0], path: strings.TrimPrefix(m[1], "file://")})
		}
	}
	l.mentions[string(raw)] = found
	return found
}

// mayMention is the quick look: most lines name no file.
func mayMention(raw []byte) bool {
	for rest := raw; ; {
		i := bytes.IndexByte(rest, ':')
		if i < 0 {
			return bytes.Contains(raw, []byte(`File "`))
		}
		if i+1 < len(rest) && rest[i+1] >= '0' && rest[i+1] <= '9' {
			j := i
			for j > 0 && isWord(rest[j-1]) {
				j--
			}
			if j < i && j > 0 && rest[j-1] == '.' {
				return true
			}
		}
		rest = rest[i+1:]
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// span is a part of a row's plain text, in bytes, and where it leads.
type span struct {
	from, to int
	url      string
}

// linkRow is a row of the screen, whose cells from x to end show a text or a part of it.
type linkRow struct {
	y, x, end int
	text      []byte // uncleaned
	plain     string // the whole row
	spans     []span
}

// find finds the places that a row names.
func (l *links) find(row *linkRow, services []string, found []mention) {
	for i, m := range found {
		if slices.Index(found, m) < i || !strings.Contains(row.plain, m.text) {
			continue
		}
		to := l.urlOf(services, m.path)
		if to == "" {
			continue
		}
		for at := 0; ; {
			i := strings.Index(row.plain[at:], m.text)
			if i < 0 {
				break
			}
			s := span{from: at + i, to: at + i + len(m.text), url: to}
			at = s.to
			first := width(row.plain[:s.from])
			if apart(row.plain, s) && first >= row.x && first+width(m.text) <= row.end {
				row.spans = append(row.spans, s)
			}
		}
	}
}

// findBroken finds the places whose names begin at the end of a row and go on in the next one.
func (l *links) findBroken(upper, lower *linkRow, services []string, found []mention) {
	_, end := upper.shown()
	from, _ := lower.shown()
	for _, m := range found {
		for k := len(m.text) - 1; k > 0; k-- {
			first := span{from: end - k, to: end}
			second := span{from: from, to: from + len(m.text) - k}
			if first.from < 0 || second.to > len(lower.plain) ||
				upper.plain[first.from:end] != m.text[:k] || lower.plain[from:second.to] != m.text[k:] ||
				!apart(upper.plain[:end], first) || !apart(lower.plain, span{from: 0, to: second.to}) {
				continue
			}
			if to := l.urlOf(services, m.path); to != "" {
				first.url, second.url = to, to
				upper.spans, lower.spans = append(upper.spans, first), append(lower.spans, second)
			}
			break
		}
	}
}

// shown is the part of the row's plain text, in bytes, that is neither blank nor a border at either end.
func (row *linkRow) shown() (from, to int) {
	at := 0
	for i, c := range row.plain {
		if at == row.x {
			from = i
		}
		if at < row.end {
			to = i + utf8.RuneLen(c)
		}
		at += width(string(c))
	}
	inner := row.plain[from:to]
	from += len(inner) - len(strings.TrimLeft(inner, " │"))
	return from, from + len(strings.Trim(inner, " │"))
}

// apart says whether a span is no part of a longer path.
func apart(plain string, s span) bool {
	if s.from > 0 && (isWord(plain[s.from-1]) || strings.IndexByte("./@+-", plain[s.from-1]) >= 0) {
		return false
	}
	return s.to == len(plain) || plain[s.to] < '0' || plain[s.to] > '9'
}

// withLinks puts the links of spans into a row that has no sequences but colours.
func withLinks(row string, spans []span) string {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	at, end := 0, -1 // of the plain text; end: of the open link
	for row != "" {
		if at == end {
			b.WriteString("\x1b]8;;\x1b\\")
			end = -1
		}
		for len(spans) > 0 && spans[0].from < at {
			spans = spans[1:] // within another one
		}
		if end < 0 && len(spans) > 0 && spans[0].from == at && row[0] != 0x1b {
			b.WriteString("\x1b]8;;" + spans[0].url + "\x1b\\")
			end, spans = spans[0].to, spans[1:]
		}
		if row[0] == 0x1b {
			sgr, after, ok := nextSGR(row)
			if !ok {
				break
			}
			b.WriteString(sgr)
			row = after
			continue
		}
		n := strings.IndexByte(row, 0x1b)
		if n < 0 {
			n = len(row)
		}
		if end >= 0 {
			n = min(n, end-at)
		} else if len(spans) > 0 {
			n = min(n, spans[0].from-at)
		}
		b.WriteString(row[:n])
		row, at = row[n:], at+n
	}
	if end >= 0 {
		b.WriteString("\x1b]8;;\x1b\\")
	}
	return b.String() + row
}

// urlOf is where a path leads, "" for nowhere as far as is known by now.
func (l *links) urlOf(services []string, path string) string {
	for _, s := range services {
		key := pathOf{s, path}
		f, ok := l.files[key]
		if !ok || l.e.now.Sub(f.at) > fileAge {
			l.wanted[key] = true
		}
		if f.file != "" {
			return fileURL(l.host, f.file)
		}
	}
	return ""
}

// fileURL is the URL of a file: all that is not plain ASCII is written as %xx.
func fileURL(host, file string) string {
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/ on Windows
	}
	u := url.URL{Scheme: "file", Host: host, Path: path}
	if text := u.String(); len(text) <= longestLink {
		return text
	}
	return ""
}

// look asks the disk for the files that the last drawing had no answer for.
func (l *links) look() tea.Cmd {
	if l.looking || len(l.wanted) == 0 {
		return nil
	}
	ask := map[pathOf][]string{}
	for key := range l.wanted {
		ask[key] = l.src.candidates(key.service, key.path)
	}
	clear(l.wanted)
	l.looking = true
	return l.e.jobs.do("find the files of links", func(ctx context.Context) tea.Msg {
		found := filesMsg{}
		for key, files := range ask {
			if ctx.Err() != nil {
				break
			}
			found[key] = firstFile(files)
		}
		return found
	})
}

// receive implements receiver.
func (l *links) receive(msg tea.Msg) (tea.Cmd, bool) {
	found, ok := msg.(filesMsg)
	if !ok {
		return nil, false
	}
	l.looking = false
	if len(l.files) >= keptFiles {
		clear(l.files)
	}
	for key, file := range found {
		l.files[key] = foundFile{file: file, at: l.e.now}
	}
	return l.look(), true
}

// sourceRows implements linker.
func (p *logPane) sourceRows() []sourceRow {
	out := make([]sourceRow, 0, len(p.win.seen))
	for y := range p.win.seen {
		l := &p.win.seen[y].line
		out = append(out, sourceRow{y: y, services: []string{l.Service}, text: l.Text})
	}
	return out
}

// linked are the parts of the screen whose rows may name files.
func (e *env) linked() []linked {
	if e.over != nil {
		if o, ok := e.over.(linker); ok {
			return []linked{{o, e.overAt}}
		}
		return nil
	}
	var out []linked
	for _, p := range e.panes {
		at := rect{}
		switch {
		case p.id() == e.tab:
			at = e.f.main
		case p.id() == paneEvents && e.f.strip:
			at = e.f.events
		}
		if l, ok := p.pane.(linker); ok && !at.empty() {
			out = append(out, linked{l, at})
		}
	}
	return out
}

// sourceRows implements linker.
func (p *eventsPane) sourceRows() []sourceRow {
	all := p.list()
	var out []sourceRow
	for i := p.top; i < len(all) && i < p.top+p.h; i++ {
		out = append(out, sourceRow{y: i - p.top, services: []string{all[i].service},
			text: []byte(all[i].what + " " + all[i].cause)})
	}
	return out
}

// sourceRows implements linker.
func (t *textView) sourceRows() []sourceRow {
	out := make([]sourceRow, 0, len(t.seen))
	for y, of := range t.seen {
		out = append(out, sourceRow{x: 1, y: y + 1, services: []string{t.about}, text: []byte(of)})
	}
	return out
}

// sourceRows implements linker: the output of a build that succeeded leads nowhere.
func (p *buildsPane) sourceRows() []sourceRow {
	chosen := p.chosen()
	if chosen < 0 || p.e.snap.Builds[chosen].Err == "" {
		return nil
	}
	services := p.e.snap.Builds[chosen].Services
	x, y := 0, p.listH+1
	if p.sideBy {
		x, y = p.listW+2, 1
	}
	var out []sourceRow
	for i, text := range p.seenTexts {
		out = append(out, sourceRow{x: x, y: y + i, services: services, text: []byte(text)})
	}
	return out
}
