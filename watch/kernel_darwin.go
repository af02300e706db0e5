//go:build darwin && cgo

package watch

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/fsnotify/fsevents"
)

// streamLatency is how long FSEvents collects. The quiet period comes after
// it, so that it only has to be long enough for two events of one save.
const streamLatency = 10 * time.Millisecond

func newKernel() (kernel, error) {
	return newStreams(fsEvents{}, disk{lstat: lstat, names: names}), nil
}

// fsEvents is FSEvents itself. Its streams cost no descriptor, however many
// files and folders they cover.
type fsEvents struct{}

func (fsEvents) latest() uint64 { return fsevents.LatestEventID() }

func (fsEvents) open(paths []string, since uint64, out chan<- []rawEvent) (stop func(), err error) {
	stream := &fsevents.EventStream{
		Events:  make(chan []fsevents.Event),
		Paths:   paths,
		Flags:   fsevents.FileEvents | fsevents.WatchRoot | fsevents.NoDefer,
		Resume:  true,
		EventID: since,
		Latency: streamLatency,
	}
	if err := stream.Start(); err != nil {
		return nil, err
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case events := <-stream.Events:
				raw := make([]rawEvent, len(events))
				for i, e := range events {
					raw[i] = rawEvent{path: e.Path, flags: uint32(e.Flags), id: e.ID}
				}
				select {
				case out <- raw:
				case <-quit:
				}
			case <-quit:
				return
			}
		}
	}()
	return func() {
		// FSEvents waits for its last call, and that one for somebody to read.
		stream.Stop()
		close(quit)
		<-ended
	}, nil
}

func lstat(path string) (fs.FileInfo, time.Time, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	var changed time.Time
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		changed = time.Unix(st.Ctimespec.Unix())
	}
	return info, changed, nil
}

func names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read: closing cannot lose anything
	return f.Readdirnames(-1)
}
