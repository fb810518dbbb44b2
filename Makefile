# Each target sets up what it needs. The only requirements are Python 3.11 or newer, make and a
# package registry. tox.ini says how the project is checked; this file only calls it.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
TOX = $(BIN)/python -m tox run -q
PIP := $(BIN)/python -m pip install -qq

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo console test lint types docs package bench crash check clean

help: ## list the targets
	@echo 'make TARGET [PYTHON=python3.12] [ARGS="arguments for the tool"]'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

demo: .venv/.demo ## run the example workflow
	$(BIN)/wfengine run examples/flights/workflow.py:workflow --input examples/flights/data/flights.csv --store sqlite:///runs.db $(ARGS)

console: .venv/.console ## show the runs of the demo in a browser, and what waits for a decision
	$(BIN)/wfengine console examples/flights/workflow.py:workflow --store sqlite:///runs.db $(ARGS)

test: .venv/.tox ## run the tests with coverage
	@$(TOX) -e py $(if $(ARGS),-- $(ARGS))

lint: .venv/.tox ## check style and format
	@$(TOX) -e lint $(if $(ARGS),-- $(ARGS))

types: .venv/.tox ## check types
	@$(TOX) -e types $(if $(ARGS),-- $(ARGS))

docs: .venv/.tox ## build the documentation into docs/_build/html
	@$(TOX) -e docs $(if $(ARGS),-- $(ARGS))

package: .venv/.tox ## build, install and try the wheel, the source archive and an editable install
	@$(TOX) -e package $(if $(ARGS),-- $(ARGS))

bench: .venv/.tox ## run the benchmarks
	@$(TOX) -e bench $(if $(ARGS),-- $(ARGS))

crash: .venv/.tox ## kill runs a thousand times, and compare
	@$(TOX) -e crash $(if $(ARGS),-- $(ARGS))

check: .venv/.tox ## all of lint, types, test, docs and package
	@$(TOX)

clean: ## remove everything that is generated, .venv included
	rm -rf .venv .tox .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info docs/_build
	rm -f .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The files in .venv are stamps: each says that the step which made it is done.

.venv/.made:
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo 'wfengine needs Python 3.11 or newer, and there is no "$(PYTHON)". Name one: make PYTHON=python3.12' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("wfengine needs Python 3.11 or newer, and this is %d.%d. Name one: make PYTHON=python3.12" % v[:2])'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo '"$(PYTHON)" has no venv module. Install it (on Debian and Ubuntu: apt install python3-venv).' >&2; exit 1; }
	@echo 'Setting up .venv ...'
	@"$(PYTHON)" -m venv .venv
	@touch $@

.venv/.tox: .venv/.made
	@$(PIP) 'tox>=4.24'
	@touch $@

.venv/.demo: .venv/.made pyproject.toml setup.py
	@echo 'Installing wfengine[cli] ...'
	@$(PIP) --editable '.[cli]'
	@touch $@

.venv/.console: .venv/.made pyproject.toml setup.py
	@echo 'Installing wfengine[cli,web] ...'
	@$(PIP) --editable '.[cli,web]'
	@touch $@
