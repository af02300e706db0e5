package build

import (
	"io"

	"github.com/containerd/log"
	"github.com/moby/buildkit/util/bklog"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc/grpclog"
)

// BuildKit, containerd and grpc log to stderr, where a screen is drawn. They take a logger through
// package variables only, which have to be set before their first use. logrus' own standard logger
// stays as it is: other libraries of the program use it.
func init() {
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	silent.SetLevel(logrus.PanicLevel)
	bklog.L = logrus.NewEntry(silent)
	log.L = bklog.L
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}
