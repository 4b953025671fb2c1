# Every target sets up what it needs: only python3 (3.11 or newer) with venv, and make, must be there.
# The environment is made in .venv from requirements.lock, and again whenever the lock changes.

PYTHON ?= python3
JOBS ?= 2
WORLDS ?= 100000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PACKAGES := vouchers drivers sync terminal central config
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Code that must be covered whole, by branches: rules, protocol, framers and encoders. What opens
# a port beside them is covered as the rest.
WHOLE := vouchers/*,sync/*,drivers/escpos/*,drivers/scanner/*
PORTS := drivers/escpos/printer.py,drivers/scanner/*_scanner.py

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types contracts coverage bench soak lock clean

help: ## say what each target does
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## the whole thing: central, a terminal, sample vouchers, the kiosk
	$(BIN)/hexiao demo

test: $(READY) ## the whole test suite
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

check: lint types contracts coverage ## what a change must pass: lint, types, contracts, tests with floors

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=100 --include='$(WHOLE)' --omit='$(PORTS)'
	$(BIN)/coverage report --fail-under=90

bench: $(READY) ## speed, as ratios to a bare limit measured in the same run
	$(BIN)/hexiao bench
	$(BIN)/hexiao bench central

soak: $(READY) ## the long tests: kill -9 loops, crash replays, a hundred thousand simulated worlds
	$(BIN)/python -m pytest -m soak -o faulthandler_timeout=0 --hypothesis-profile=soak
	$(BIN)/python -m tests.simulation --worlds $(WORLDS)

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra test --generate-hashes --no-emit-index-url \
	  --universal --python-version 3.11 --no-header --quiet --output-file requirements.lock

clean: ## remove the environment and everything generated
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache \
	  .pytest_cache .hypothesis .import_linter_cache demo-data
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Only wheels: nothing is compiled, so no compiler is needed. The package itself is linked in
# place, built by the locked setuptools instead of by a build environment of its own.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'hexiao needs Python 3.11 or newer: make PYTHON=python3.12 ...' >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	  || { echo 'Python lacks venv: on Debian, apt install python3-venv' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --only-binary :all: --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $(READY)
