# Two commands need nothing before them: make demo, make test.

GO ?= go

.PHONY: agent build install uninstall demo test golden bench soak microbench

# The program that runs beside containers for faults of the network; without it all else works.
agent:
	$(GO) generate ./engine/agent

build: agent
	$(GO) build -ldflags "-X bulkhead/ui/cli.revision=$$(git describe --always --dirty --abbrev=12 2>/dev/null)" -o bulkhead .

# The program, what shells complete, and the manual page, below PREFIX; DESTDIR goes before it.
PREFIX ?= $(HOME)/.local
BIN = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share
COMPLETIONS = $(SHARE)/bash-completion/completions/bulkhead $(SHARE)/zsh/site-functions/_bulkhead $(SHARE)/fish/vendor_completions.d/bulkhead.fish
install: build
	mkdir -p $(BIN) $(SHARE)/man/man1 $(dir $(COMPLETIONS))
	install -m 755 bulkhead $(BIN)/bulkhead
	./bulkhead completion bash >$(SHARE)/bash-completion/completions/bulkhead
	./bulkhead completion zsh >$(SHARE)/zsh/site-functions/_bulkhead
	./bulkhead completion fish >$(SHARE)/fish/vendor_completions.d/bulkhead.fish
	./bulkhead man >$(SHARE)/man/man1/bulkhead.1
	@echo "installed below $(DESTDIR)$(PREFIX); for \`docker bulkhead\`: ln -s $(BIN)/bulkhead ~/.docker/cli-plugins/docker-bulkhead"

uninstall:
	rm -f $(BIN)/bulkhead $(SHARE)/man/man1/bulkhead.1 $(COMPLETIONS)

# On a terminal the shop comes up on the screen; without one this is a tour of some seconds.
demo: agent
	.ci/engine
	$(GO) run . demo

# What is checked is compiled once, for the race detector; for other systems it is read as source.
TOOLS = ./testdata/bench/... ./testdata/flood ./testdata/gotest ./testdata/othersystems ./testdata/picture ./testdata/record ./testdata/soak
# A program built for the race detector lives a second longer than it has to, and the tests run hundreds of them.
test: export GORACE ?= atexit_sleep_ms=20
test: agent
	.ci/engine
	@unformatted=$$(git ls-files --cached --others --exclude-standard '*.go' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean; run gofmt -w:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -race ./... $(TOOLS)
	$(GO) run ./testdata/othersystems darwin windows
	$(GO) build -o bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	GOFLAGS="$$GOFLAGS -race" bin/staticcheck ./... $(TOOLS)
	BULKHEAD_ENGINE=required $(GO) run ./testdata/gotest -race -vet=off -shuffle=on -timeout 60m ./... ./testdata/gotest

# Rewrites the golden screens and scripts: look at the difference before you commit it.
golden:
	$(GO) test ./ui -update
	$(GO) test -run 'TestScript|TestEngineScript' . -update

# The loop as a person waits for it, in turn with docker compose where that is on the machine; about 25 minutes. BENCH picks cases.
BENCH ?= .
bench: agent
	.ci/engine
	$(GO) run ./testdata/bench -run '$(BENCH)'

# All that is hard on it at once, for SOAK: what it holds at the end is compared with the beginning.
SOAK ?= 10m
soak:
	.ci/engine
	$(GO) run ./testdata/soak -for $(SOAK)

microbench:
	$(GO) test -run '^$$' -bench . -benchmem ./engine/... ./ui/... ./watch/...
