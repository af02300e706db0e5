package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/atomicwriter"

	"bulkhead/engine/container"
)

// recallFor is how long an engine's answer to who it is holds for later processes. Engines start
// other programs to find it out, which takes longer than everything else that an `up` with nothing
// to do asks for; and it hardly ever changes while an engine runs.
const recallFor = 10 * time.Minute

// recall keeps what a local engine answered. An engine that starts makes its socket again, so the
// socket's time tells one from the next; so do the host's name and kernel, which say whether the
// engine is on this machine. Errors are ignored: without it the engine is asked.
type recall struct {
	dir string // "" keeps nothing
	end endpoint
}

// remembered is the content of its file.
type remembered struct {
	Socket time.Time      `json:"socket"`
	Host   string         `json:"host"`
	Kernel string         `json:"kernel"`
	Asked  time.Time      `json:"asked"`
	Info   container.Info `json:"info"`
}

// now describes the engine that would be asked; ok is false where nothing tells it from another.
func (r recall) now() (m remembered, ok bool) {
	if r.dir == "" || !r.end.unix() {
		return m, false
	}
	fi, err := os.Stat(strings.TrimPrefix(r.end.host, "unix://"))
	if err != nil {
		return m, false
	}
	host, err := os.Hostname()
	return remembered{Socket: fi.ModTime(), Host: host, Kernel: kernelRelease(), Asked: time.Now()}, err == nil
}

func (r recall) file() string {
	sum := sha256.Sum256([]byte(r.end.host + "\x00" + r.end.context))
	return filepath.Join(r.dir, hex.EncodeToString(sum[:8])+".json")
}

// get returns the answer of before, if it is of this engine and API version and not old.
func (r recall) get(api apiVersion) (container.Info, bool) {
	is, ok := r.now()
	if !ok {
		return container.Info{}, false
	}
	f, err := os.Open(r.file())
	if err != nil {
		return container.Info{}, false
	}
	defer f.Close()
	var was remembered
	if json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(&was) != nil || was.Info.ID == "" {
		return container.Info{}, false
	}
	age := is.Asked.Sub(was.Asked)
	same := was.Socket.Equal(is.Socket) && was.Host == is.Host && was.Kernel == is.Kernel &&
		was.Info.API == api.String()
	return was.Info, same && age >= 0 && age < recallFor
}

func (r recall) put(info container.Info) {
	is, ok := r.now()
	if !ok {
		return
	}
	is.Info = info
	b, err := json.Marshal(is)
	if err != nil || os.MkdirAll(r.dir, 0o700) != nil {
		return
	}
	_ = atomicwriter.WriteFile(r.file(), b, 0o600)
}
