package files

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// The protocol: each side writes JSON lines. A request of bulkhead's may be followed by bytes, which
// are part of a tar stream, or paths with a zero byte between them: not every name can stand in
// JSON. A request without a number is a heartbeat, and so is a reply without one, but for the
// greeting. Requests are answered in order, each once; unpack is answered when all is unpacked, or
// as soon as it cannot be.

// verb is what is asked for.
type verb string

const (
	unpackVerb verb = "unpack" // a tar stream that follows in data requests of the same number
	dataVerb   verb = "data"
	endVerb    verb = "end"   // of the stream
	breakVerb  verb = "break" // of the stream, before its end
	deleteVerb verb = "delete"
	statVerb   verb = "stat"
	ownerVerb  verb = "owner"
)

type request struct {
	Seq     uint64 `json:"seq,omitempty"`
	Do      verb   `json:"do,omitempty"`
	Below   string `json:"below,omitempty"`
	Replace bool   `json:"replace,omitempty"`
	Size    int    `json:"size,omitempty"` // of the bytes that follow
}

type reply struct {
	Version int    `json:"version,omitempty"` // of the greeting
	Seq     uint64 `json:"seq,omitempty"`
	Error   string `json:"error,omitempty"`
	Kind    kind   `json:"kind,omitempty"` // of the error
	Path    []byte `json:"path,omitempty"` // of a folder that is in the way

	Failed  []failed `json:"failed,omitempty"`  // of unpack: what was not written
	Entries []entry  `json:"entries,omitempty"` // of stat, in the order of the paths
	UID     int      `json:"uid,omitempty"`     // of owner
	GID     int      `json:"gid,omitempty"`
}

// kind is what callers tell errors apart by.
type kind string

const (
	readOnlyKind kind = "read-only"
	folderKind   kind = "folder"
	noAccessKind kind = "no-access"
)

type failed struct {
	Path []byte `json:"path"`
	Why  string `json:"why"`
}

type entry struct {
	There bool   `json:"there,omitempty"`
	Mode  uint32 `json:"mode,omitempty"` // an fs.FileMode
	Size  int64  `json:"size,omitempty"`
	Link  []byte `json:"link,omitempty"`
}

func (e entry) entry() Entry {
	return Entry{Mode: fs.FileMode(e.Mode), Size: e.Size, Link: string(e.Link)}
}

// maxData is how many bytes may follow one request.
const maxData = 1 << 20

// readRequest reads a request and what follows it, which is valid until the next call.
func readRequest(r *bufio.Reader, buf []byte) (q request, data []byte, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return q, nil, err
	}
	if err := json.Unmarshal(line, &q); err != nil {
		return q, nil, fmt.Errorf("read a request: %w", err)
	}
	if q.Size < 0 || q.Size > len(buf) {
		return q, nil, fmt.Errorf("a request has %d bytes, and may have %d", q.Size, len(buf))
	}
	_, err = io.ReadFull(r, buf[:q.Size])
	return q, buf[:q.Size], err
}

// writeRequest writes a request and what follows it, with one call.
func writeRequest(w io.Writer, q request, data []byte) error {
	q.Size = len(data)
	line, err := json.Marshal(q)
	if err != nil {
		return err
	}
	_, err = w.Write(append(append(line, '\n'), data...))
	return err
}

func joinPaths(paths []string) []byte { return []byte(strings.Join(paths, "\x00")) }

func splitPaths(data []byte) []string {
	if len(data) == 0 {
		return nil
	}
	return strings.Split(string(data), "\x00")
}
