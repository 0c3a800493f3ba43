# `make` lists the tasks. You need Python 3.11 or newer and make; everything else is installed into .venv. The tests
# also need Node 20 or newer with npm, because they run wrangler, the TypeScript SDK and workerd.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench
FAILOVER := $(VENV)/.failover
FAILOVER_LIMIT = $(if $(filter thorough random,$(EFFORT)),40m,15m)  # a round that takes longer is ended
UNSHARE := unshare --net --mount --pid --fork --kill-child --mount-proc
FUZZ := $(VENV)/.fuzz
SECONDS ?= 30
TARGET ?=
REQUESTS ?= 1000000
SEED ?=
NODE := tests/clients/node/node_modules/.installed
WORKERD := .workerd/.installed
EFFORT := quick
CASES = $(if $(filter thorough random,$(EFFORT)),, and not thorough)
test test-fast test-failover: export NIGHTSAFE_TEST_EFFORT = $(EFFORT)

unexport PYTHONDONTWRITEBYTECODE  # the tests start Python thousands of times: let it keep what it compiles

.DEFAULT_GOAL := help
.PHONY: help run worker test test-fast test-failover can-break node workerd check format lint types floors docstrings bench bench-delivery bench-rotation bench-workers bench-bystander bench-latency bench-postgres fuzz fuzz-api lock drawing clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN) ## set everything up and run the main example through the official SDK
	@$(BIN)/python examples/get_secret_binding/run.py

worker: $(RUN) $(WORKERD) ## set up and run a Worker with secrets through the official SDK
	@$(BIN)/python examples/worker_with_a_secret/run.py

test: $(DEV) $(NODE) $(WORKERD) ## run the tests; EFFORT=thorough runs every case, EFFORT=random also new inputs
	@mkdir -p .cache
	@$(PYTEST) -m 'slow$(CASES)' >.cache/slow-tests.txt 2>&1 & slow=$$!; \
	  $(PYTEST) -m 'not slow and not failover$(CASES)' --numprocesses=auto --dist=worksteal; others=$$?; \
	  wait $$slow || others=1; cat .cache/slow-tests.txt; exit $$others

test-fast: EFFORT := fast
test-fast: $(DEV) ## run only the tests that start no server, Node or workerd, with few random inputs
	@$(PYTEST) tests/unit tests/engines -m 'not slow and not heavy$(CASES)' --numprocesses=auto --dist=worksteal -q

test-failover: $(FAILOVER) ## break a cluster of PostgreSQL under load, as root; EFFORT=thorough breaks it more often
	@$(MAKE) --silent can-break || { echo 'The failover tests need network namespaces: run them as root on Linux, where' \
	  'unshare (util-linux) and ip (iproute2) work.' >&2; exit 1; }
	@mkdir -p .cache
	@timeout --foreground --kill-after=10 $(FAILOVER_LIMIT) $(UNSHARE) sh -c \
	  'mount -t tmpfs none /run && $(PYTEST) tests/failover -m failover; exit $$?'

can-break: # fails where the failover tests cannot run
	@PATH="$$PATH:/usr/sbin" $(UNSHARE) sh -c 'mount -t tmpfs none /run && ip link add name switch type bridge \
	  && ip link add name a type veth peer name b'

node: $(NODE) ## install the official Node clients for the tests

workerd: $(WORKERD) ## install workerd, the Workers runtime

check: lint types floors docstrings test ## run all checks and `make test`; CI also runs its longest cases and the fuzz targets

format: $(DEV) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python tools/generate_client.py

lint: $(DEV) ## check style and formatting, without changes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(DEV) ## check types with strict mypy
	@$(BIN)/mypy

floors: $(DEV) ## check that modules import only from floors below their own
	@$(BIN)/lint-imports --no-cache

docstrings: $(DEV) ## check that every name has a docstring
	@$(BIN)/interrogate --quiet src tests benchmarks tools

bench: $(DEV) $(BENCH) ## measure against other products, as ratios in one run
	@$(BIN)/python benchmarks/run.py

bench-delivery: $(DEV) $(WORKERD) ## measure delivery against a bare workerd
	@$(BIN)/python benchmarks/delivery.py

bench-rotation: $(DEV) $(WORKERD) ## measure how a rotation of keys slows other requests
	@$(BIN)/python benchmarks/rotation.py

bench-workers: $(DEV) ## measure how reads scale with two API processes
	@$(BIN)/python benchmarks/workers.py

bench-bystander: $(DEV) ## measure how long one client's requests delay another's
	@$(BIN)/python benchmarks/bystander.py

bench-latency: $(DEV) $(BENCH) ## measure latency at a fixed rate, beside OpenBao
	@$(BIN)/python benchmarks/latency.py

bench-postgres: $(DEV) $(BENCH) ## measure nodes on PostgreSQL, beside OpenBao on the same server
	@$(BIN)/python benchmarks/postgres.py

fuzz: $(FUZZ) ## look for inputs that break a parser; options: SECONDS=30 (for each target), TARGET=name
	@$(BIN)/python tools/fuzz.py --seconds $(SECONDS) $(addprefix --target ,$(TARGET))

fuzz-api: $(DEV) ## send malformed requests to a real server; options: REQUESTS=1000000, SEED=of-an-earlier-run
	@$(BIN)/python tools/fuzz_api.py --requests $(REQUESTS) $(addprefix --seed ,$(SEED))

drawing: $(NODE) ## render docs/architecture.dot, for light pages and for dark pages
	@node tools/draw.mjs

lock: $(DEV) ## resolve the dependencies again and lock them
	@$(BIN)/python -m pip install --quiet uv
	@for part in run:example dev:dev bench:bench fuzz:fuzz postgres:postgres failover:failover; do \
	  $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock' \
	    --extra $${part#*:} $$(test $${part%%:*} = run || echo --constraint requirements/run.txt) \
	    $$(test $${part%%:*} != failover || echo --constraint requirements/bench.txt) \
	    --output-file requirements/$${part%%:*}.txt || exit 1; \
	done

clean: ## remove the output of the other tasks, but no data directory
	@rm -rf $(VENV) .workerd tests/clients/node/node_modules .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Nightsafe needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ...' >&2; exit 1; }
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

$(FAILOVER): requirements/failover.txt | $(DEV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/failover.txt
	@touch $@

$(FUZZ): requirements/fuzz.txt | $(DEV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
	    -r requirements/fuzz.txt \
	  || { echo 'atheris cannot be installed here: it only has wheels for CPython on Linux x86-64 (glibc).' >&2; \
	       echo 'To replay the corpus without it, run: python -m pytest tests/fuzz' >&2; exit 1; }
	@touch $@

$(NODE): tests/clients/node/package-lock.json
	@command -v npm >/dev/null || { echo 'The tests need Node 20 or newer with npm.' >&2; exit 1; }
	@echo 'Installing the official Node clients (once)'
	@cd tests/clients/node && npm ci --loglevel=error
	@touch $@

$(WORKERD): workerd/package-lock.json
	@command -v npm >/dev/null || { echo 'Delivery needs workerd, which npm installs: install Node 20 or newer with npm.' >&2; exit 1; }
	@echo 'Installing workerd (once)'
	@mkdir -p .workerd && cp workerd/package.json workerd/package-lock.json workerd/.npmrc .workerd
	@cd .workerd && npm ci --loglevel=error
	@touch $@
