package build

import (
	"errors"
	"testing"
)

func TestStepIsFoundInTheDockerfileByItsName(t *testing.T) {
	const file = `ARG BASE=golang
FROM golang:1.26 AS build
WORKDIR /src
RUN go build \
    -o /out/$NAME \
    ./...
FROM scratch
run  true
COPY --from=build /out/${NAME:-x} /app
FROM build AS test
RUN true
FROM team/tools
COPY --from=busybox:1.36 /bin/busybox /bin/
`
	for _, c := range []struct {
		name        string
		first, last int
	}{
		{"[build 3/3] RUN go build     -o /out/orders     ./...", 4, 6},
		{"[stage-1 2/3] RUN true", 8, 8},
		{"[linux/arm64 test 2/2] RUN true", 11, 11},
		{"[stage-1 3/3] COPY --from=build /out/orders /app", 9, 9},
		{"[internal] load metadata for docker.io/library/golang:1.26", 2, 2},
		{"[internal] load metadata for docker.io/team/tools:latest", 12, 12},
		{"FROM docker.io/library/busybox:1.36", 13, 13},
		{"[stage-1 3/3] COPY --from=other /out/orders /app", 0, 0},
		{"[internal] load build context", 0, 0},
		{"exporting to image", 0, 0},
	} {
		first, last := locate([]byte(file), c.name)
		if first != c.first || last != c.last {
			t.Errorf("%s: lines %d to %d, want %d to %d", c.name, first, last, c.first, c.last)
		}
	}
}

func TestErrorKeepsOnlyTheWordsThatMatter(t *testing.T) {
	for in, want := range map[string]string{
		"failed to solve: rpc error: code = Unknown desc = executor failed running [/bin/sh -c false]: exit code: 1": "executor failed running [/bin/sh -c false]: exit code: 1",
		"failed to solve with frontend dockerfile.v0: failed to build LLB: no space":                                 "no space",
		`failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1`:                    `process "/bin/sh -c false" did not complete successfully: exit code: 1`,
		`failed to solve: rpc error: code = Unknown desc = failed to compute cache key: "/x" not found: not found`:   `"/x" not found`,
		"no such host": "no such host",
	} {
		if got := clean(errors.New(in)).Error(); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestACommandThatFailedIsSaidOnce(t *testing.T) {
	for in, want := range map[string]string{
		"executor failed running [/bin/sh -c echo hello; exit 2]: exit code: 2":      "exit code: 2",
		`process "/bin/sh -c echo a\nb" did not complete successfully: exit code: 1`: "exit code: 1",
		"executor failed running [/bin/sh -c x]: no space":                           "executor failed running [/bin/sh -c x]: no space",
		"no space": "no space",
	} {
		if got := withoutCommand(errors.New(in)).Error(); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
