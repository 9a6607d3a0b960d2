# Every target sets up what it needs: a virtual environment in .venv, made once for what it holds.
PYTHON ?= python3
BIN := .venv/bin
# pip looks up its own newest version otherwise.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all test-slow check bench proof bytecode clean

demo: .venv/core
	$(BIN)/assay demo -o RUN-demo

test: bytecode
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long and not slow" $(PYTEST)

test-all: bytecode
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" $(PYTEST)

test-slow: bytecode
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow $(PYTEST)

check: .venv/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: bytecode
	$(BIN)/python -m benchmarks $(ONLY)

SEEDS ?= 1 2 3
proof: .venv/development
	$(BIN)/python -m proof $(SEEDS:%=--seed %) $(ONLY)

# An installed package is compiled. Where the environment forbids Python to write that down, each process would do it anew.
bytecode: .venv/development
	$(BIN)/python -m compileall -q src

clean:
	rm -rf .venv RUN-demo benchmarks/work

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/development: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[development]'
	touch $@ .venv/core
