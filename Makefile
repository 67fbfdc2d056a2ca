# Every target does its own set-up: `make demo` and `make test` work as the first command in a fresh clone.
PYTHON ?= python3
TOOLS := .tools
UV := $(TOOLS)/bin/uv
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked

.PHONY: help setup demo test browser check kafka-up kafka-down bench bench-reliability views sbom lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

setup: $(STAMP) ## create .venv from the lock file

# The one thing that pip installs. Its version and the hashes of its wheels for all platforms are in the file.
$(UV): requirements-uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "holdtime needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Try: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement requirements-uv.txt
	@touch $@

# The lock names versions and hashes and no registry: it installs from whichever index this machine is set up for.
$(STAMP): requirements.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## a simulated center, signed webhooks over HTTP, a report: under a minute
	$(BIN)/holdtime demo

test: $(STAMP) browser ## all tests
	$(BIN)/pytest -n 2 --dist worksteal

kafka-up: $(STAMP) ## a real Apache Kafka, of BROKERS brokers (1); prints its address
	@$(BIN)/python -m tests.support.kafka.cluster up

kafka-down: $(STAMP) ## stop it, and forget what it held
	@$(BIN)/python -m tests.support.kafka.cluster down

browser: $(STAMP) ## find a Chromium for the tests of pages, or install Debian's
	$(BIN)/python tests/support/browser.py

check: $(STAMP) ## lint, format, types, import rules: what CI runs before the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@! grep -rnE '^ *(from|import) tests\.([a-z_]+\.)*(test_|conftest)' tests bench supply --include '*.py' \
		|| { echo 'A test is no library: what others use of it belongs in tests/support.'; exit 1; }

bench: $(STAMP) ## measure, as ratios in one run; writes bench/results.json
	$(BIN)/python -m bench

bench-reliability: $(STAMP) ## break it on purpose, for about two hours; writes bench/reliability.json
	$(BIN)/python -m bench.reliability

views: $(STAMP) ## write the measures in warehouse/views/ anew, from reports/measures/measures.py
	$(BIN)/python -m reports.measures warehouse/views

sbom: $(STAMP) ## the software bill of materials of what runs: CycloneDX, in dist/holdtime.cdx.json
	@$(BIN)/python -m supply.sbom dist/holdtime.cdx.json

lock: | $(UV) ## resolve the dependencies anew
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --group dev --extra tracing --python-version 3.11 pyproject.toml -o requirements.lock

clean: ## remove everything that make created
	rm -rf .kafka $(VENV) $(TOOLS) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
