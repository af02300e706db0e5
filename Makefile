# Two commands need nothing before them: make demo, make test.

GO ?= go

.PHONY: build demo test golden bench microbench

build:
	$(GO) build -o bulkhead .

# On a terminal the shop comes up on the screen; without one this is a tour of some seconds.
demo:
	.ci/engine
	$(GO) run . demo

# What is checked is compiled once, for the race detector; for other systems, only as far as vet needs it.
TOOLS = ./testdata/bench/... ./testdata/flood ./testdata/gotest
test:
	.ci/engine
	@unformatted=$$(git ls-files --cached --others --exclude-standard '*.go' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean; run gofmt -w:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -race ./... $(TOOLS)
	GOOS=darwin $(GO) vet -gcflags='all=-N -l' ./...
	GOOS=windows $(GO) vet -gcflags='all=-N -l' ./...
	$(GO) build -o bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	GOFLAGS="$$GOFLAGS -race" bin/staticcheck ./... $(TOOLS)
	BULKHEAD_ENGINE=required $(GO) run ./testdata/gotest -race -vet=off -shuffle=on -timeout 60m ./... ./testdata/gotest

# Rewrites the golden screens and scripts: look at the difference before you commit it.
golden:
	$(GO) test ./ui -update
	$(GO) test -run TestScript . -update

# The loop as a person waits for it, in turn with docker compose where that is on the machine; about 15 minutes. BENCH picks cases.
BENCH ?= .
bench:
	.ci/engine
	$(GO) run ./testdata/bench -run '$(BENCH)'

microbench:
	$(GO) test -run '^$$' -bench . -benchmem ./engine/... ./ui/... ./watch/...
