# The two commands are `make run` and `make test`; the rest are parts of them, and chores.

CARGO ?= cargo
NPM ?= npm
PYTHON ?= python3

.PHONY: run test test-long bench lint web web-test browser-test sdk-test agents openapi

run: web            ## Build everything, start the daemon, print a one-time link, open a demo session.
	$(CARGO) build --release -p trunkline-cli
	./target/release/trunkline open --demo

test: lint web-test agents ## Everything that must hold.
	$(CARGO) test --workspace --no-fail-fast
	$(MAKE) browser-test sdk-test

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

browser-test:       ## The page in a real browser, against the built binary. Chromium is fetched if there is none.
	$(CARGO) test --workspace --no-run
	cd web && CHROMIUM="$$(NPM=$(NPM) node ../tests/browser/find.mjs)" $(NPM) run e2e

sdk-test: target/venv/ready ## The Python SDK against the built router and daemon: tests, types, style.
	$(CARGO) test --workspace --no-run
	cd sdk/python && STDIO_BUS="$(CURDIR)/target/debug/stdio_bus" TRUNKLINE="$(CURDIR)/target/debug/trunkline" \
		../../target/venv/bin/python -m pytest -q
	cd sdk/python && ../../target/venv/bin/mypy
	cd sdk/python && ../../target/venv/bin/ruff check . && ../../target/venv/bin/ruff format --check .

target/venv/ready: sdk/python/requirements-test.txt sdk/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed; name one in PYTHON"; exit 1; }
	$(PYTHON) -m venv --clear target/venv
	target/venv/bin/python -m pip install -q --disable-pip-version-check -r sdk/python/requirements-test.txt
	target/venv/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e sdk/python
	touch $@

agents:             ## The real agents that the tests run, from their registry.
	$(NPM) ci --prefix tests/agents --no-audit --no-fund

openapi:            ## Accept the API's new document.
	TRUNKLINE_ACCEPT=1 $(CARGO) test -p trunkline-serve --test openapi

bench:              ## Measure the budgets on the release binary, each beside its limit.
	$(CARGO) build --release -p trunkline-cli -p stdio-bus -p trunkline-bench
	./target/release/trunkline-bench
