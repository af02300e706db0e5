package build

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/frontend/subrequests/lint"
)

// lintDockerfile asks the frontend for its checks of the Dockerfile. What it finds is the error.
func lintDockerfile(
	ctx context.Context, bk *client.Client, opt *client.SolveOpt, ch chan *client.SolveStatus,
) (*client.SolveResponse, error) {
	frontend, attrs := opt.Frontend, opt.FrontendAttrs
	attrs["requestid"] = lint.RequestLint
	opt.Frontend, opt.FrontendAttrs, opt.Exports = "", nil, nil
	var found string
	res, err := bk.Build(ctx, *opt, "bulkhead", func(ctx context.Context,
		c gateway.Client) (*gateway.Result, error) {
		r, err := c.Solve(ctx, gateway.SolveRequest{Frontend: frontend, FrontendOpt: attrs})
		if err != nil {
			return nil, err
		}
		if _, ok := r.Metadata["result.txt"]; !ok {
			return nil, fmt.Errorf(
				"%w: the engine's Dockerfile frontend has no checks; they need Engine 27 or later",
				ErrUnsupported)
		}
		if string(r.Metadata["result.statuscode"]) == "1" {
			found = strings.TrimSpace(string(r.Metadata["result.txt"]))
		}
		return gateway.NewResult(), nil
	}, ch)
	switch {
	// older frontends do not know the request
	case err != nil && strings.Contains(err.Error(), lint.RequestLint):
		return nil, fmt.Errorf(
			"%w: the engine's Dockerfile frontend has no checks; they need Engine 27 or later", ErrUnsupported)
	case err == nil && found != "":
		return nil, errors.New(found)
	}
	return res, err
}
