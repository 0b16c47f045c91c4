# make demo: the sample history through every stage, and a conversation.
# make test: checks and tests. Both build .venv first; nothing but python3 (3.11 or newer), git and make is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check install fuzz proofs clean
.DEFAULT_GOAL := test

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Ventriloquist needs Python 3.11 or newer: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: install
	$(BIN)/ventriloquist demo

test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: install
	FUZZ=1000000 $(BIN)/python -m pytest -m fuzz --timeout=0

# What make test tries a few times, tried often: 208 kills and 500 interleavings of collecting, 50 kills of describing
# with 64 requests under way, 50 trainings that are killed three times each, every damage to a checkpoint, every way to start several processes.
proofs: install
	KILLS=208 INTERLEAVINGS=500 $(BIN)/python -m pytest -s --timeout=0 tests/test_collect_kills.py tests/test_again.py
	KILLS=50 $(BIN)/python -m pytest -s --timeout=0 tests/test_describe_kills.py tests/test_transcripts.py tests/test_session.py
	PROOFS=1 TRIALS=50 $(BIN)/python -m pytest -s --timeout=0 tests/test_train_*.py tests/test_benchmarks_generation.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis ventriloquist-demo
