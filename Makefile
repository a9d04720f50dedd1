# Two commands from a clean clone: `make demo` shows the product, `make test` proves it.
# Each target first creates .venv with the versions of constraints.txt; nothing else is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt --editable

# Programs of the environment, and the redis-server that may lie there, are found first.
WITH_BIN = PATH="$(CURDIR)/$(BIN):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-long check format docs bench weights lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(RUN_STAMP)  ## start the service, swap sample people, write demo-output/, stop
	$(BIN)/dgnet demo --output demo-output

serve: $(RUN_STAMP)  ## start the service to stay, at http://127.0.0.1:8000
	$(BIN)/dgnet serve

# A process for each core, a file to a process; each computes on one thread.
test: $(DEV_STAMP)  ## run all tests (PYTEST_ARGS='-k name' to choose, '-n 0' for one process)
	$(WITH_BIN) OMP_NUM_THREADS=1 python -m pytest -n auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

test-long: $(DEV_STAMP)  ## run what takes long: thousands of damaged archives and requests
	$(WITH_BIN) python -m pytest -m long $(PYTEST_ARGS)

check: $(DEV_STAMP)  ## lint, formatting, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(DEV_STAMP)  ## put sources into the form that `make check` wants
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV_STAMP)  ## make the docs a site in build/site, every link checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

bench: $(DEV_STAMP)  ## run the benchmarks, figures go to benchmarks/results/
	@mkdir -p benchmarks/results
	$(WITH_BIN) python -m benchmarks.composites --json benchmarks/results/composites.json
	$(WITH_BIN) python -m benchmarks.generation --json benchmarks/results/generation.json
	$(WITH_BIN) python -m benchmarks.fairness --output benchmarks/results/fairness.json
	$(WITH_BIN) python -m benchmarks.people --json benchmarks/results/people.json
	$(WITH_BIN) python -m benchmarks.train --json benchmarks/results/train.json
	$(WITH_BIN) python -m benchmarks.retrieval --json benchmarks/results/retrieval.json
	$(WITH_BIN) python -m benchmarks.browse --json benchmarks/results/browse.json
	$(WITH_BIN) python -m benchmarks.queue --output benchmarks/results/queue.json
	$(WITH_BIN) python -m benchmarks.http_overhead --json benchmarks/results/http_overhead.json

weights: $(DEV_STAMP)  ## make the shipped weights anew: render people, train, measure (two hours)
	$(WITH_BIN) model/weights/small/train.sh runs/weights

lock:  ## write constraints.txt anew (needs `uv` on the PATH)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--no-annotate --no-emit-index-url --custom-compile-command 'make lock' \
		--quiet --output-file constraints.txt

clean:  ## remove what the other targets made
	rm -rf $(VENV) demo-output build *.egg-info .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), Python 3.11 to 3.13 is needed:" \
			"make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "make: $(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; \
		exit 2; }

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) '.[worker,embedded,generate]'
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt .ci/provide-redis .ci/provide-chromium | $(BIN)/python
	$(PIP_INSTALL) '.[dev]'
	.ci/provide-redis $(BIN)
	.ci/provide-chromium
	@touch $@ $(RUN_STAMP)
