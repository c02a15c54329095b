# Two commands do everything on a machine with Python >= 3.11, pip and make:
#   make demo    the main job on the embedded world, offline once installed
#   make test    lint, types and tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= runs/demo

.PHONY: demo test install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[lite,dev]'
	touch $@

demo: install
	$(BIN)/visual-summaries demo --out $(RUNS)

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

clean:
	rm -rf $(VENV) build *.egg-info
