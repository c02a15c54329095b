# On a machine with Python >= 3.11, pip and make:
#   make demo      the main job on the embedded world, offline once installed
#   make test      style, spelling, types, tests and the examples in docstrings
#   make docs      the documentation site, site/index.html; opens from disk
#   make dist      a wheel and a source distribution, dist/
#   make results   the tables of docs/results.md that take minutes (photographs: VISUAL_SUMMARIES_DATA)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= runs/demo
TABLES ?=

.PHONY: demo test docs dist results install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[lite,dev,docs]'
	touch $@

demo: install
	$(BIN)/visual-summaries demo --out $(RUNS)

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/pytest

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

dist: install
	rm -rf dist *.egg-info # what an earlier build listed would be packed again
	$(BIN)/python -m build --outdir dist

results: install
	$(BIN)/python scripts/results.py $(TABLES)

clean:
	rm -rf $(VENV) build dist site *.egg-info
