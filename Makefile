# What to do with a checkout. `make help` lists it; CONTRIBUTING.md says more. The daemon's own commands are `trunkline --help`.

CARGO ?= cargo
NPM ?= npm
PYTHON ?= python3
# Where Cargo builds, and what it has built.
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
TRUNKLINE ?= $(RELEASE)/trunkline
# The desktop window is a workspace of its own, with a target directory of its own.
DESKTOP := --manifest-path crates/desktop/Cargo.toml --target-dir $(TARGET)/desktop
HAS_WEBKIT := pkg-config --exists webkit2gtk-4.1 2>/dev/null
# Where `make setup` puts its links: a directory of your PATH.
BIN ?= $(HOME)/.local/bin
# The names of the original hub and the original agent bus that the binary answers to.
NAMES := sessionbus-hub agentflow-hub agent-flow sessionbus-mcp agentflow-mcp engram-bus kollabor-engine

.DEFAULT_GOAL := help
# The program holds the page, so the page is built before it.
.NOTPARALLEL:
.PHONY: help run setup setup-core setup-dev setup-desktop setup-mcp setup-all launch launch-ui mcp status logs shutdown \
	test test-long lint web web-test browser-test sdk-test sdk-rust-test test-desktop agents readme openapi pictures bench bench-ui clean

help:               ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: web            ## Build everything, start the daemon, print a one-time link, open a demo session.
	$(CARGO) build --release -p trunkline-cli
	$(RELEASE)/trunkline open --demo

setup: web setup-core ## Build the program with its page, and the window where it can be; link them into BIN, by the original names too.
	@if $(HAS_WEBKIT); then $(MAKE) setup-desktop; else echo "no desktop window: libwebkit2gtk-4.1-dev is not here"; fi
	@mkdir -p "$(BIN)"
	@for name in trunkline stdio_bus; do ln -sfn "$(abspath $(RELEASE))/$$name" "$(BIN)/$$name"; done
	@for name in $(NAMES); do ln -sfn "$(abspath $(RELEASE))/trunkline" "$(BIN)/$$name"; done
	@echo "linked in $(BIN): trunkline stdio_bus $(NAMES)"
	@case ":$$PATH:" in *":$(BIN):"*) ;; *) echo "$(BIN) is not in your PATH yet";; esac

setup-core:         ## Build the program alone: trunkline and stdio_bus. The page it serves is what `make web` built last.
	$(CARGO) build --release -p trunkline-cli -p stdio-bus

setup-dev: agents target/venv/ready ## Fetch what the tests need: the page's packages, the real agents, a Python environment.
	cd web && $(NPM) ci --no-audit --no-fund

setup-desktop: web  ## Build the page, and the desktop window that shows it.
	@$(HAS_WEBKIT) || { echo "the window needs WebKitGTK: sudo apt-get install libwebkit2gtk-4.1-dev"; exit 1; }
	$(CARGO) build --release $(DESKTOP)
	@mkdir -p "$(RELEASE)" && cp "$(TARGET)/desktop/release/trunkline-desktop" "$(RELEASE)/"

setup-mcp: setup-core ## The same as setup-core: the MCP server is a part of the program.

setup-all: setup setup-dev ## Everything above.

launch: setup-core  ## Start the daemon in the background.
	@$(TRUNKLINE) serve --detach

launch-ui: web setup-core ## Start the daemon if need be, and open its page: in the window where it was built, else in your browser.
	@if [ -x "$(RELEASE)/trunkline-desktop" ]; then $(TRUNKLINE) desktop; else $(TRUNKLINE) open; fi

mcp: $(TRUNKLINE)   ## Speak MCP on stdin and stdout, for a host that starts this.
	@$(TRUNKLINE) mcp

status: $(TRUNKLINE) ## Show whether the daemon runs.
	@$(TRUNKLINE) status || [ $$? -eq 5 ]

logs: $(TRUNKLINE)  ## Show the daemon's log.
	@$(TRUNKLINE) logs

shutdown: $(TRUNKLINE) ## Stop the daemon.
	@$(TRUNKLINE) stop

$(TRUNKLINE):
	@echo "$@ is not there yet; \`make setup\` or \`make setup-core\` builds it"; exit 1

test: lint web-test agents ## Everything that must hold.
	$(CARGO) test --workspace --no-fail-fast
	$(MAKE) browser-test sdk-test sdk-rust-test

lint:               ## Format, house rules, clippy.
	$(CARGO) fmt --all --check
	$(CARGO) xtask tidy
	$(CARGO) clippy --workspace --all-targets -- -D warnings

web:                ## Build the page into web/dist.
	@command -v $(NPM) >/dev/null || { echo "Node.js and npm are needed to build the page: https://nodejs.org"; exit 1; }
	cd web && $(NPM) ci --no-audit --no-fund && $(NPM) run build

web-test: web       ## Types, logic.
	cd web && $(NPM) run check && $(NPM) test

test-long:          ## A thousand agent lifecycles.
	TRUNKLINE_LIFECYCLES=1000 $(CARGO) test -p trunkline-cli --test daemon lifecycles

test-desktop: web   ## The desktop window on a screen of its own. On Debian, root installs what that needs.
	@tests/desktop/need.sh
	$(CARGO) fmt --manifest-path crates/desktop/Cargo.toml --check
	$(CARGO) clippy $(DESKTOP) --all-targets -- -D warnings
	$(CARGO) build -p trunkline-cli
	TRUNKLINE="$(abspath $(TARGET))/debug/trunkline" $(CARGO) test $(DESKTOP)

browser-test: target/kollabor/ready ## The page in a real browser, against the built binary. Chromium is fetched if there is none.
	$(CARGO) test --workspace --no-run
	cd web && CHROMIUM="$$(NPM=$(NPM) node ../tests/browser/find.mjs)" $(NPM) run e2e

target/kollabor/ready: tests/kollabor/requirements.txt
	rm -rf target/kollabor
	$(PYTHON) -m pip download -q --disable-pip-version-check --no-deps --ignore-requires-python --require-hashes -r $< -d target/kollabor
	$(PYTHON) -m zipfile -e target/kollabor/*.whl target/kollabor
	touch $@

sdk-test: target/venv/ready ## The Python SDK against the built router and daemon: tests, types, style.
	$(CARGO) test --workspace --no-run
	cd sdk/python && STDIO_BUS="$(abspath $(TARGET))/debug/stdio_bus" TRUNKLINE="$(abspath $(TARGET))/debug/trunkline" \
		../../target/venv/bin/python -m pytest -q
	cd sdk/python && ../../target/venv/bin/mypy
	cd sdk/python && ../../target/venv/bin/ruff check . && ../../target/venv/bin/ruff format --check .
	target/venv/bin/mypy --strict bench/bus.py
	target/venv/bin/ruff check --config sdk/python/pyproject.toml bench
	target/venv/bin/ruff format --config sdk/python/pyproject.toml --check bench

sdk-rust-test:      ## The original Rust SDK, unchanged, on the built router.
	$(CARGO) build -p stdio-bus
	STDIO_BUS="$(CURDIR)/target/debug/stdio_bus" CARGO_TARGET_DIR="$(CURDIR)/target/sdk-rust" \
		$(CARGO) test --locked --manifest-path tests/sdk-rust/Cargo.toml

target/venv/ready: sdk/python/requirements-test.txt sdk/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed; name one in PYTHON"; exit 1; }
	$(PYTHON) -m venv --clear target/venv
	target/venv/bin/python -m pip install -q --disable-pip-version-check -r sdk/python/requirements-test.txt
	target/venv/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e sdk/python
	touch $@

agents:             ## The real agents and the official suite that the tests run, from their registry.
	$(NPM) ci --prefix tests/agents --no-audit --no-fund
	$(NPM) ci --prefix tests/mcp --no-audit --no-fund --ignore-scripts
	$(MAKE) tests/mcp/.venv/ready

tests/mcp/.venv/ready: tests/mcp/requirements.txt
	$(PYTHON) -m venv --clear tests/mcp/.venv
	tests/mcp/.venv/bin/python -m pip install -q --disable-pip-version-check -r tests/mcp/requirements.txt
	touch $@

readme:             ## Write the help of every command into docs/guide/cli.md anew; fails if that changed it.
	TRUNKLINE_ACCEPT=1 $(CARGO) test -p trunkline-cli --bin trunkline the_help_in_the_guide

openapi:            ## Accept the API's new document.
	TRUNKLINE_ACCEPT=1 $(CARGO) test -p trunkline-serve --test openapi

pictures: web       ## Take the pictures of the page anew, those of the README and the guide.
	$(CARGO) build -p trunkline-cli
	cd web && CHROMIUM="$$(NPM=$(NPM) node ../tests/browser/find.mjs)" E2E=pictures $(NPM) run e2e

bench-ui: web       ## Measure the page's budgets in a real browser, each beside its limit.
	$(CARGO) build --release -p trunkline-cli
	cd web && TRUNKLINE_BINARY="$(abspath $(RELEASE))/trunkline" CHROMIUM="$$(NPM=$(NPM) node ../tests/browser/find.mjs)" \
		E2E=bench $(NPM) run e2e

bench:              ## Measure the budgets on the release binary, each beside its limit.
	$(CARGO) build --release -p trunkline-cli -p stdio-bus -p trunkline-bench
	$(RELEASE)/trunkline-bench

clean:              ## Remove what was built and fetched here. Sessions, and the links of `make setup`, stay.
	$(CARGO) clean
	rm -rf target/venv web/dist web/node_modules tests/agents/node_modules
