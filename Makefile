# Two commands do all the set-up, from a bare clone: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RLSTIR_STORE ?= $(CURDIR)/.rlstir/store
RLSTIR_DATA ?= $(CURDIR)/.rlstir/data
export RLSTIR_STORE RLSTIR_DATA
export DAGSTER_HOME := $(CURDIR)
# One thread per process: steps and tests run side by side.
export OMP_NUM_THREADS ?= 1
# Tests drive the browser that is installed; where there is none, its driver is not fetched.
COMMA := ,
EXTRAS := dev$(if $(shell which chromium chromium-browser google-chrome 2>/dev/null),$(COMMA)browser)

.PHONY: run test check bench ui clean

run: $(READY)
	@test -f $(RLSTIR_STORE)/index.jsonl || $(BIN)/rlstir lab generate
	@$(BIN)/rlstir materialize --recipe host
	@echo; sed '/^## /,$$d; /^!/d' $(RLSTIR_DATA)/reports/eval/host/comparison_v2.md

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" --cov --cov-report=
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks

# What was given to make, or stands in the environment; else what was worked on last.
NAMED := $(if $(filter-out file,$(origin RLSTIR_STORE)),--store $(RLSTIR_STORE)) \
         $(if $(filter-out file,$(origin RLSTIR_DATA)),--data $(RLSTIR_DATA))

ui: $(READY)
	@env -u RLSTIR_STORE -u RLSTIR_DATA $(BIN)/rlstir ui $(NAMED)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --progress-bar on -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

clean:
	rm -rf .rlstir $(VENV)
