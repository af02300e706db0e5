# Two commands need nothing before them: make demo, make test.

GO ?= go

.PHONY: build demo test golden bench

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
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	$(GO) tool staticcheck ./...
	BULKHEAD_ENGINE=required $(GO) test -race -shuffle=on -timeout 10m ./...

# Rewrites the golden screens and scripts: look at the difference before you commit it.
golden:
	$(GO) test ./ui -update
	$(GO) test -run TestScript . -update

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./engine/... ./ui/... ./watch/...
