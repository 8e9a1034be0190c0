# `make run` and `make test` need Python 3.11 or newer and make; they set up everything else themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test check docs pictures bench accuracy torture clean

run: $(VENV)/.run-ready
	$(BIN)/moodsort run

test: $(VENV)/.test-ready
	tests/setup-system
	$(MAKE) check
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check: $(VENV)/.test-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.test-ready
	$(BIN)/python -m docs.write_commands

pictures: $(VENV)/.test-ready
	tests/setup-system
	$(BIN)/python -m docs.draw_pictures

bench: $(VENV)/.bench-ready
	$(BIN)/python -m tests.bench.runtime $(PHOTOS)

BUNDLE ?= default

accuracy: $(VENV)/.bench-ready
	$(BIN)/python -m tests.bench.accuracy $(BUNDLE) $(DATA)

KILLS ?= 1000
SEED ?= 0

torture: $(VENV)/.test-ready
	$(BIN)/python -m tests.faults.torture --kills $(KILLS) --seed $(SEED)
	$(BIN)/python -m tests.faults.power_loss

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist

$(VENV)/.run-ready: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.test-ready: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[train,detector,onnx,postgres,test]'
	touch $@

$(VENV)/.bench-ready: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[train,bench]'
	touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "moodsort needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
