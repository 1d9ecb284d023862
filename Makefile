# `make` lists what there is. Needs Python 3.11 or 3.12 (Bytewax has wheels for no other) and make; nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
CODE := core receiver dataflow store exporters service
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test check lint bench lock clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 18

.venv/python:
	@test -n "$(PYTHON)" || { echo "TokenSense needs Python 3.11 or 3.12; none was found. Set PYTHON=/path/to/python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run: .venv/python requirements/run.lock pyproject.toml
	@echo "installing into .venv (about a minute the first time)"
	@$(PIP) install --require-hashes -r requirements/run.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/run requirements/dev.lock
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@touch $@

demo: .venv/run  ## install, then run everything for about a minute on misbehaving traffic
	@$(BIN)/tokensense demo

test: .venv/dev  ## install, then run the tests
	@$(BIN)/python -m pytest

check: lint test  ## lint, types, import directions, then the tests

lint: .venv/dev  ## lint, format, types, import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(CODE) tests benchmarks
	@$(BIN)/pyright
	@$(BIN)/lint-imports

bench: .venv/dev  ## run the benchmarks; prints medians, draws docs/charts
	@$(BIN)/python -m benchmarks

lock: .venv/dev  ## resolve the lock files anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet \
		--extra server --group build pyproject.toml -o requirements/run.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet \
		--extra server --group dev -c requirements/run.lock pyproject.toml -o requirements/dev.lock

clean:  ## remove what was installed and built
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
