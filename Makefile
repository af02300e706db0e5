# Two commands need nothing before them: make demo, make test.

GO ?= go

.PHONY: build demo test golden bench microbench

build:
	$(GO) build -o bulkhead .

# On a terminal the shop comes up on the screen; without one this is a tour of some seconds.
demo:
	.ci/engine
	$(GO) run . demo

test:
	.ci/engine
	@unformatted=$$(git ls-files --cached --others --exclude-standard '*.go' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean; run gofmt -w:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./... ./testdata/bench/...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	$(GO) tool staticcheck ./... ./testdata/bench/...
	BULKHEAD_ENGINE=required $(GO) test -race -shuffle=on -timeout 10m ./...

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
