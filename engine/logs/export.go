package logs

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// AppendText appends a line as FormatText has it: time, service (with the replica from the second one on) and
// plain text, without a line end.
func AppendText(dst []byte, l Line) []byte {
	dst = l.Time.AppendFormat(dst, "2006-01-02T15:04:05.000000Z07:00")
	dst = append(append(dst, ' '), l.Service...)
	if l.Replica > 1 {
		dst = fmt.Appendf(dst, "-%d", l.Replica)
	}
	dst = Plain(append(dst, ' '), l.Text)
	if l.Cut > 0 {
		dst = fmt.Appendf(dst, " [%d bytes cut]", l.Cut)
	}
	return dst
}

// jsonLine is a line of FormatJSON. Its names are those of the JSON that other verbs write.
type jsonLine struct {
	Time       string `json:"time"` // RFC 3339, nanoseconds, UTC
	Kind       string `json:"kind"` // "log"
	Service    string `json:"service"`
	Replica    int    `json:"replica"`
	Generation int    `json:"generation"`
	Stream     string `json:"stream"`
	Level      string `json:"level,omitempty"` // where the line says one
	Line       string `json:"line"`
	Cut        int    `json:"cut,omitempty"`
}

// Export writes the lines of the view, in its order, in a format. Lines that leave the store meanwhile are left
// out.
func (v *View) Export(w io.Writer, format Format) error {
	buf := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	var arena, row []byte
	for _, b := range v.index.blocks {
		for _, r := range b.refs {
			var l Line
			if l, arena = v.copyLine(r, arena[:0]); l.Seq == 0 {
				continue
			}
			var err error
			if format == FormatJSON {
				row = Plain(row[:0], l.Text)
				level := l.Level.String()
				if l.Level == LevelUnknown {
					level = ""
				}
				err = enc.Encode(jsonLine{
					// all nine digits: lines sort as text
					Time:       l.Time.UTC().Format("2006-01-02T15:04:05.000000000Z07:00"),
					Kind:       "log",
					Service:    l.Service,
					Replica:    l.Replica,
					Generation: l.Generation,
					Stream:     l.Stream.String(),
					Level:      level,
					Line:       string(row),
					Cut:        l.Cut,
				})
			} else {
				row = append(AppendText(row[:0], l), '\n')
				_, err = buf.Write(row)
			}
			if err != nil {
				return fmt.Errorf("export logs: %w", err)
			}
		}
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("export logs: %w", err)
	}
	return nil
}
