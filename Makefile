# `make run` and `make test` do all the set-up themselves, in .venv.

PYTHON ?= python3
PY = .venv/bin/python
# Twice quiet: setuptools' remarks on editable installs are not for the user; errors still show.
PIP = $(PY) -m pip install --quiet --quiet --constraint constraints.txt

.PHONY: run test lint api docs bench audit

run: .venv/installed
	$(PY) -m graphcl_hard.run --dataset MUTAG

test: .venv/installed
	$(PY) -m pytest

# The site, into site/: open site/index.html, or `$(PY) -m mkdocs serve` for one that can be searched.
docs: .venv/installed
	$(PY) -m mkdocs build --strict

# Tens of minutes; nothing else should run on the machine.
bench: .venv/installed
	$(PY) experiments/speed.py

lint: .venv/installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# The public interface as text, after a change of it that is meant; tests/test_public_api.py compares.
api: .venv/installed
	$(PY) tests/public_api.py

# Known weaknesses of what is installed; it asks the package index, so it needs the network and is no part of CI.
audit: .venv/installed
	@$(PIP) pip-audit
	$(PY) -m pip_audit --skip-editable

.venv/installed: setup.cfg pyproject.toml constraints.txt
	@echo "Setting up .venv; the first time takes minutes, most of them for PyTorch."
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PIP) --upgrade pip setuptools
	@$(PIP) torch
	@$(PIP) --editable '.[dev]'
	@touch $@
