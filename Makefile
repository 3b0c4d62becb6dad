# `make run` and `make test` do all the set-up themselves, in .venv. A `## ` after a target is its line in `make help`.

PYTHON ?= python3
PY = .venv/bin/python
# Twice quiet: setuptools' remarks on editable installs are not for the user; errors still show.
PIP = $(PY) -m pip install --quiet --quiet --constraint constraints.txt

.PHONY: help run test test-slow test-all test-long test-lowest lint api docs bench audit fuzz

help:  ## list these targets
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed  ## train on MUTAG and print the scores
	$(PY) -m graphcl_hard.run --dataset MUTAG

# The fast tests import every module. Two processes of one thread each take less time than one process of two threads.
test: .venv/installed  ## run the fast tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile -m 'not slow and not alone and not long' $(call record,fast)

test-slow: .venv/installed  ## run the tests that `make test` leaves out
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal -m 'slow and not alone and not long' $(call record,slow)
	$(PY) -m pytest -m 'alone and not long' $(call record,alone)

test-all: test test-slow  ## run the fast tests and the slow ones

# With RECORDS=FOLDER, each of the three leaves there what passed and how long it took.
record = $(if $(RECORDS),--record=$(RECORDS)/$(1).json)

# Three hours and more: two hours of soak, sixty more moments of kill -9 and what else is marked `long`, and a fuzz
# campaign of ten times the cases. Each leaves its record under benchmarks/results/.
SOAK_MINUTES ?= 60
test-long: export OMP_NUM_THREADS ?= 1
test-long: export GRAPHCL_HARD_FUZZ_TIMES ?= 10
test-long: .venv/installed  ## run the tests that take hours, and record them
	$(PY) -m benchmarks.soak --kind sweep --minutes $(SOAK_MINUTES)
	$(PY) -m benchmarks.soak --kind estimator --minutes $(SOAK_MINUTES)
	$(PY) -m pytest -m long --record=benchmarks/results/long/long.json
	$(PY) -m pytest tests/fuzz tests/data/tu/test_reader.py \
		tests/data/test_shards.py --record=benchmarks/results/long/fuzz.json

# The lowest versions that setup.cfg allows, but PyTorch's, in an environment of their own. Old packages call what new
# ones deprecate, so warnings are no errors here.
LOWEST = .venv-lowest/bin/python
test-lowest:  ## test with the lowest versions of setup.cfg
	$(PYTHON) -m venv .venv-lowest
	@$(LOWEST) -m pip install --quiet --upgrade pip setuptools
	@$(LOWEST) -m pip install --quiet --constraint constraints.txt torch
	$(LOWEST) tests/helpers/lowest.py > .venv-lowest/constraints.txt
	@$(LOWEST) -m pip install --quiet --constraint .venv-lowest/constraints.txt --editable '.[parquet,tensorboard]' pytest hypothesis psutil
	$(LOWEST) -m pytest -W default tests/test_run.py tests/training/test_loop.py tests/data/test_load.py \
		tests/estimators/test_hard_infograph.py \
		tests/evaluation/test_cross_validation.py tests/nn/encoders/test_message_passing.py \
		tests/data/test_collate.py tests/io/test_vectors.py \
		tests/runs/test_folder.py tests/runs/test_plots.py tests/runs/test_loggers.py

# Coverage-guided, so long for each reader.
FUZZ_SECONDS ?= 300
fuzz: .venv/installed  ## fuzz the readers of files, guided by coverage
	@$(PIP) atheris
	for reader in tu zip safetensors; do $(PY) tests/helpers/atheris_readers.py $$reader -max_total_time=$(FUZZ_SECONDS) || exit 1; done

# The site, into site/: open site/index.html, or `$(PY) -m mkdocs serve` for one that can be searched.
docs: .venv/installed  ## build the site into site/
	$(PY) -m mkdocs build --strict

# Tens of minutes; nothing else should run on the machine.
bench: .venv/installed  ## measure speed and memory, on an idle machine
	$(PY) -m benchmarks.speed

lint: .venv/installed  ## run linter, formatter and type checker
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# The public interface as text, after a change of it that is meant; tests/test_public_api.py compares.
api: .venv/installed  ## write the public interface to tests/helpers/public_api.txt
	$(PY) tests/helpers/public_api.py

# Known weaknesses of what is installed; it asks the package index, so it needs the network and is no part of CI.
audit: .venv/installed  ## list known vulnerabilities of what is installed
	@$(PIP) pip-audit
	$(PY) -m pip_audit --skip-editable

.venv/installed: setup.cfg pyproject.toml constraints.txt
	@echo "Setting up .venv; the first time takes minutes, most of them for PyTorch."
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PIP) --upgrade pip setuptools
	@$(PIP) torch
	@$(PIP) --editable '.[dev]'
	@touch $@
