# Two commands do all set-up: `make demo` and `make test`.
PYTHON ?= python3
DEMO ?= workspaces/demo
PRODUCTS ?= 3000
UV := $(shell command -v uv || echo .uv/bin/uv)
BIN := .venv/bin

.PHONY: demo test slow lint install install-dev clean

demo: install
	$(BIN)/catray demo --out $(DEMO) --products $(PRODUCTS)

test: install-dev
	$(BIN)/pytest

slow: install-dev
	$(BIN)/pytest -m "slow and not gpu" --timeout 1800

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: .venv/installed
install-dev: .venv/installed-dev

.uv/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .uv uv

.venv/bin/python: | $(UV)
	$(UV) venv --quiet --python $(PYTHON) .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(UV) pip install --python $(BIN)/python --constraint constraints.txt --editable ".[compact]"
	touch $@

.venv/installed-dev: .venv/installed
	$(UV) pip install --python $(BIN)/python --constraint constraints.txt --editable ".[compact,dev]"
	touch $@

clean:
	rm -rf .venv .uv workspaces
