# `make` lists the tasks. Needs Python 3.11 or newer and make; everything else goes into .venv. The tests also
# need Node 20 or newer with npm: they drive wrangler, the TypeScript SDK and workerd.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench
FUZZ := $(VENV)/.fuzz
SECONDS ?= 30
TARGET ?=
REQUESTS ?= 1000000
SEED ?=
NODE := tests/clients/node/node_modules/.installed
WORKERD := .workerd/.installed

.DEFAULT_GOAL := help
.PHONY: help run worker test node workerd check format lint types floors docstrings bench bench-delivery bench-rotation bench-bystander fuzz fuzz-api lock drawing clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN) ## set everything up and run the main job through the official SDK
	@$(BIN)/python examples/get_secret_binding/run.py

worker: $(RUN) $(WORKERD) ## run a Worker with secrets, from nothing, through the official SDK
	@$(BIN)/python examples/worker_with_a_secret/run.py

test: $(DEV) $(NODE) $(WORKERD) ## run every test; those that mostly wait, beside the others
	@mkdir -p .cache
	@$(PYTEST) -m slow >.cache/slow-tests.txt 2>&1 & slow=$$!; \
	  $(PYTEST) -m 'not slow' --numprocesses=auto --dist=loadfile; others=$$?; \
	  wait $$slow || others=1; cat .cache/slow-tests.txt; exit $$others

node: $(NODE) ## install the official Node clients that the tests drive

workerd: $(WORKERD) ## install the Workers runtime that secrets are delivered to

check: lint types floors docstrings test ## all that CI runs

format: $(DEV) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python tools/unasync.py

lint: $(DEV) ## style, and formatting without changing it
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(DEV) ## mypy, strict
	@$(BIN)/mypy

floors: $(DEV) ## a module imports only from floors below its own
	@$(BIN)/lint-imports --no-cache

docstrings: $(DEV) ## every name has one
	@$(BIN)/interrogate --quiet src tests benchmarks tools

bench: $(DEV) $(BENCH) ## measure against peers, as ratios in one run
	@$(BIN)/python benchmarks/run.py

bench-delivery: $(DEV) $(WORKERD) ## measure the delivery side beside a bare workerd
	@$(BIN)/python benchmarks/delivery.py

bench-rotation: $(DEV) $(WORKERD) ## measure what a rotation of keys costs those who go on meanwhile
	@$(BIN)/python benchmarks/rotation.py

bench-bystander: $(DEV) ## measure how long one client's requests hold another's up
	@$(BIN)/python benchmarks/bystander.py

fuzz: $(FUZZ) ## look for inputs that break a parser: SECONDS=30 for each TARGET=name
	@$(BIN)/python tools/fuzz.py --seconds $(SECONDS) $(addprefix --target ,$(TARGET))

fuzz-api: $(DEV) ## ask a real server what it never expects: REQUESTS=1000000 SEED=of-an-earlier-run
	@$(BIN)/python tools/fuzz_api.py --requests $(REQUESTS) $(addprefix --seed ,$(SEED))

drawing: $(NODE) ## render docs/architecture.dot, for light pages and for dark ones
	@node tools/draw.mjs

lock: $(DEV) ## resolve the dependencies anew
	@$(BIN)/python -m pip install --quiet uv
	@for part in run:example dev:dev bench:bench fuzz:fuzz; do \
	  $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock' \
	    --extra $${part#*:} $$(test $${part%%:*} = run || echo --constraint requirements/run.txt) \
	    --output-file requirements/$${part%%:*}.txt || exit 1; \
	done

clean: ## remove what the other tasks made, but no safe
	@rm -rf $(VENV) .workerd tests/clients/node/node_modules .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Nightsafe needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUN): requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo 'Setting up $(VENV) (once)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(DEV): requirements/dev.txt | $(RUN)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(BENCH): requirements/bench.txt | $(DEV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

$(FUZZ): requirements/fuzz.txt | $(DEV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
	    -r requirements/fuzz.txt \
	  || { echo 'atheris cannot be installed here: it has wheels for CPython on Linux x86-64 (glibc) only.' >&2; \
	       echo 'The corpus is replayed without it: python -m pytest tests/fuzz' >&2; exit 1; }
	@touch $@

$(NODE): tests/clients/node/package-lock.json
	@command -v npm >/dev/null || { echo 'The tests need Node 20 or newer with npm.' >&2; exit 1; }
	@echo 'Installing the official Node clients (once)'
	@cd tests/clients/node && npm ci --loglevel=error
	@touch $@

$(WORKERD): workerd/package-lock.json
	@command -v npm >/dev/null || { echo 'Delivery needs workerd, which npm installs: get Node 20 or newer with npm.' >&2; exit 1; }
	@echo 'Installing workerd (once)'
	@mkdir -p .workerd && cp workerd/package.json workerd/package-lock.json workerd/.npmrc .workerd
	@cd .workerd && npm ci --loglevel=error
	@touch $@
