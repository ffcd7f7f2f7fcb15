# What there is to type: `make` alone prints it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.stamp
COMPILED := .venv-compiled

# Every shipped configuration is checked by the code that reads it at start.
CONFIGS = $(wildcard deploy/*.toml deploy/examples/*.toml)

# Under `make test NO_SKIP=1` a test that is skipped fails the run.
ifdef NO_SKIP
export TRUECOUNT_NO_SKIP = $(NO_SKIP)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check image compiled bench faults observe quality mutants lock clean

help: ## print this
	@echo "truecount: a streaming audit of view, like and follow counts"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo
	@echo "  PYTHON=python3.12 chooses the interpreter (now: $(PYTHON)); NO_SKIP=1 makes a skipped test a failure."

setup: $(STAMP) ## install everything into .venv; does nothing if it is there

demo: setup ## see it find a bought burst and spare a viral hit (no Java, no Docker)
	$(BIN)/truecount demo

# By file, so that what the tests of a file share is made once. (Groups of any other kind do nothing: pytest-xdist 3.8
# cannot mark a test of pytest 9.) In the order of tests/conftest.py: xdist would begin with files of most tests.
PYTEST = $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test: setup ## test every behaviour; the Kafka half needs Java 17+ and Maven
	$(PYTEST) -m 'not slow' $(ARGS)

test-slow: setup ## run the tests that `make test` leaves out: more of the same, and faults on a real Kafka
	$(PYTEST) -m slow $(ARGS)

check: setup ## format, lint, types, architecture, shipped configurations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@for file in $(CONFIGS); do echo "truecount config check $$file"; $(BIN)/truecount config check "$$file" || exit 1; done

image: setup ## build the image without an engine, with buildah as root; `make test-slow` runs it
	$(BIN)/python -m tests.deploy.image.building

# Another environment and a copy of the sources: what is compiled must not hide what is being changed.
compiled: $(COMPILED)/.stamp ## compile detection with mypyc into .venv-compiled (needs a C compiler; 5 minutes)

$(COMPILED)/.stamp: pyproject.toml requirements.lock requirements-compiled.lock deploy/mypyc.ini $(shell find streams detectors -name '*.py') | $(BIN)/python
	$(BIN)/python -m venv --clear $(COMPILED)
	$(COMPILED)/bin/python -m pip install --quiet --require-hashes -r requirements.lock -r requirements-compiled.lock
	rm -rf build/compiled && mkdir -p build/compiled/deploy
	cp -r streams detectors pyproject.toml README.md LICENSE build/compiled && cp deploy/mypyc.ini build/compiled/deploy
	HATCH_BUILD_HOOKS_ENABLE=1 $(COMPILED)/bin/python -m pip install --quiet --no-deps --no-build-isolation ./build/compiled
	rm -rf build/compiled
	@touch $@
	@echo "truecount is installed in $(COMPILED), compiled: $(COMPILED)/bin/truecount"

bench: setup ## events per second on a real Kafka, beside Faust, Quix and Flink (needs a JDK 17+ and Maven)
	$(BIN)/python -m bench $(ARGS)

faults: setup ## kill and freeze workers and brokers, then compare every count with its input
	$(BIN)/python -m tests.faults $(ARGS)

observe: setup ## watch an attack: ask a real Prometheus every panel and alert, and draw the dashboards (4 minutes)
	$(BIN)/python -m tests.observe

quality: setup ## hold every scenario of the lab to its recorded figures (ARGS=--record writes them anew)
	$(BIN)/python -m tests.quality $(ARGS)

mutants: setup ## change the code in 200 places, one at a time: does a test notice? (20 minutes; ARGS="--seed 7")
	$(BIN)/python -m tests.mutants $(ARGS)

# All locks at the same versions, with a hash for every file and no address; UPGRADE=1 takes the newest of everything.
LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: $(BIN)/uv ## write the requirements files anew from pyproject.toml (UPGRADE=1: newest versions)
	$(LOCK) pyproject.toml --extra dev --output-file requirements-dev.lock
	$(LOCK) pyproject.toml --constraint requirements-dev.lock --output-file requirements.lock
	$(LOCK) --group image --constraint requirements-dev.lock --output-file requirements-image.lock
	$(LOCK) --group compiled --constraint requirements-dev.lock --output-file requirements-compiled.lock

clean: ## remove .venv and what the tools left
	rm -rf $(VENV) $(COMPILED) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml requirements.lock requirements-dev.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
	@echo "truecount is installed in $(VENV)"

# The ceiling is the locks': they hold nothing for a Python that their packages have no wheels for.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || \
		{ echo "make: $(PYTHON) was not found. truecount needs Python 3.11 to 3.14: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || \
		{ echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1). truecount needs Python 3.11 to 3.14: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "make: $(PYTHON) cannot create a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }

$(BIN)/uv: | $(BIN)/python
	$(BIN)/python -m pip install --quiet 'uv>=0.9,<1'
