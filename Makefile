# `make demo` and `make test` need Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

PEERS := .cache/peers

.PHONY: help demo test chaos bench guard check lint types format setup audit clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## create the virtual environment

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m online_models.kernels
	touch $@

demo: setup  ## run the simulated shop on the embedded broker; ARGS="--seconds 30 --plain" for a short one
	$(BIN)/keepstream demo $(ARGS)

test: setup  ## run every test (Apache Kafka tests skip where Java or Maven is missing)
	$(BIN)/python -m pytest $(ARGS)

chaos: setup  ## kill, freeze and cut off workers and brokers, and compare; ARGS="--faults 30 --seed 7" for a short run
	$(BIN)/python -m tests.chaos $(ARGS)

bench: setup $(PEERS)/.ready  ## measure everything docs/performance.md shows and write it; ARGS="latency" for one part
	$(BIN)/python -m benchmarks $(ARGS)

# Without constraints.txt: quixstreams wants an older Kafka client than the one that Keepstream is tested with.
$(PEERS)/.ready: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[benchmarks]'
	$(PEERS)/bin/keepstream dataset complete-journey --out $(PEERS)/journey.jsonl.gz
	touch $@

guard: setup  ## count instructions by stage (Valgrind); ARGS=--record writes a new baseline
	$(BIN)/python -m benchmarks.guard $(ARGS)

lint: setup  ## ruff
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup  ## mypy, strict
	$(BIN)/mypy

check: lint types test  ## what continuous integration runs

format: setup  ## apply ruff's fixes and formatting
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# Strict: a package that the advisory database could not be asked about is a failure, not a pass.
audit:  ## look for known vulnerabilities of the pinned versions; needs the package index itself, no mirror
	$(PYTHON) -m venv .cache/audit
	.cache/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.cache/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .keepstream
