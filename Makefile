# Every target sets up what it needs: python3 (3.11 or newer) and make are enough to begin with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo serve test lint types imports check bench explore removals lock clean help

help:
	@echo "make demo    play the story in the terminal: attacks, then the honest way"
	@echo "make serve   run the example desk until Ctrl-C, with lines to paste into your MCP client"
	@echo "make test    set up and run every test"
	@echo "make check   tests, lint, types and import rules"
	@echo "make bench   speed and memory, as ratios"
	@echo "make explore the exhaustive explorations in full"
	@echo "make removals take each check away in a copy, and see that a test notices (half an hour)"

demo: $(VENV)/.server
	@cd examples/support_desk && ../../$(BIN)/counterfoil demo

serve: $(VENV)/.server
	@cd examples/support_desk && ../../$(BIN)/counterfoil demo --stay

# Three at once for two cores: many tests wait for the programs that they start.
test: $(VENV)/.dev system-packages
	$(BIN)/pytest -n 3 --dist loadgroup

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy capabilities server examples/support_desk examples/payments_service tests bench

imports: $(VENV)/.dev
	$(BIN)/lint-imports

check: lint types imports test

bench: $(VENV)/.dev
	$(BIN)/python -m bench

explore: $(VENV)/.dev
	COUNTERFOIL_EXPLORE=full $(BIN)/pytest -n 2 tests/capabilities/test_exploration.py tests/capabilities/test_authority_machine.py tests/capabilities/test_bundle.py tests/conformance/test_node_follows_the_feed.py

removals: $(VENV)/.dev system-packages
	cd tests && ../$(BIN)/python -m threats.removals

lock:
	uv pip compile pyproject.toml --extra server --extra telemetry --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements/dev.txt
	uv pip compile pyproject.toml requirements/build.in --extra server --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements/dev.txt -o requirements/server.txt

clean:
	rm -rf $(VENV)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Counterfoil needs Python 3.11 or newer; run: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing; run: apt-get install python3-venv"; exit 1; }

$(VENV)/.server: requirements/server.txt pyproject.toml | $(VENV)/bin/pip
	@echo "Installing Counterfoil into $(VENV) (once) ..."
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/server.txt
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/pip
	@echo "Installing Counterfoil and its test tools into $(VENV) (once) ..."
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.server

.PHONY: system-packages
system-packages:
	@missing=""; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v ssh-keygen >/dev/null || missing="$$missing openssh-client"; \
	command -v go >/dev/null || missing="$$missing golang-go"; \
	test -d /usr/share/gocode/src/golang.org/x/mod/sumdb || missing="$$missing golang-golang-x-mod-dev"; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing$$missing ..."; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
		else \
			echo "The tests need$$missing. Run: sudo apt-get install$$missing"; exit 1; \
		fi; \
	fi
