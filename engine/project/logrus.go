package project

import (
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
)

// loggerMu guards logrus's own logger, which is the process's and which compose-go writes its warnings to. It is a
// package variable because what it guards is one.
var loggerMu sync.Mutex

// listen runs load and returns what compose-go logged meanwhile, each line once. Nothing of it
// reaches stderr. Loads run one at a time, because two could not be distinguished.
func listen(load func()) []string {
	loggerMu.Lock()
	defer loggerMu.Unlock()
	logger, h := logrus.StandardLogger(), &logHook{}
	out, hooks := logger.Out, logger.ReplaceHooks(logrus.LevelHooks{})
	logger.SetOutput(io.Discard)
	logger.AddHook(h)
	defer func() {
		logger.SetOutput(out)
		logger.ReplaceHooks(hooks)
	}()
	load()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lines
}

type logHook struct {
	mu    sync.Mutex
	lines []string
}

func (h *logHook) Levels() []logrus.Level { return []logrus.Level{logrus.ErrorLevel, logrus.WarnLevel} }

// Fire keeps what compose-go logs; other libraries share the logger, and theirs is not about the project.
func (h *logHook) Fire(e *logrus.Entry) error {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "github.com/compose-spec/compose-go/") {
			break
		}
		if !more {
			return nil
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if line := strings.ReplaceAll(e.Message, "\n", " "); !slices.Contains(h.lines, line) {
		h.lines = append(h.lines, line)
	}
	return nil
}
