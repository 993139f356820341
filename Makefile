# Two commands: `make demo` and `make test`. Each installs once, into .venv, when pyproject.toml or frontend/ changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Processes of the tests: whole files go to one each, so that what a file shares is made once.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo platform-demo test test-quick lint format types install clean

$(STAMP): pyproject.toml hatch_build.py $(shell find frontend -type f -not -path '*/node_modules/*')
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing covidlit and its dependencies into $(VENV) (once, about 3 minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@# Not the extra `quantize`: its `ninja`, which int8 does without, replaces django-ninja.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps nncf pydot tabulate
	@touch $@

install: $(STAMP)

demo: $(STAMP)  ## the main job on an embedded synthetic cohort
	@$(BIN)/python train.py experiment=quickstart

platform-demo: $(STAMP)  ## the web platform with synthetic patients, in ./platform-demo
	@$(BIN)/covidlit platform demo platform-demo

test: $(STAMP)  ## the whole test suite
	@$(PYTEST)

test-quick: $(STAMP)  ## without training and other processes
	@$(PYTEST) -m "not slow"

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(STAMP)
	@$(BIN)/mypy

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache
