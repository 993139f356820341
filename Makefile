# Two commands: `make demo` and `make test`. Each installs once, into .venv, when pyproject.toml or frontend/ changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Processes of the tests: whole files go to one each, so that what a file shares is made once.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# int8's packages replace one of the platform's (findings/nncf_replaces_django_ninja.sh): they lie in
# an environment of their own, which takes all others from .venv.
QUANTIZE := $(VENV)/quantize

.PHONY: demo platform-demo test test-quick test-quantize lint format types install clean

$(STAMP): pyproject.toml hatch_build.py $(shell find frontend -type f -not -path '*/node_modules/*')
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing covidlit and its dependencies into $(VENV) (once, about 3 minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
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

test-quantize: $(STAMP)  ## exports in int8, with NNCF
	@$(BIN)/python -m venv $(QUANTIZE)
	@$(BIN)/python -c "import site; print(f'import site; site.addsitedir({site.getsitepackages()[0]!r})')" \
	  >$$(echo $(QUANTIZE)/lib/python*/site-packages)/others.pth
	@$(QUANTIZE)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[quantize]'
	@$(QUANTIZE)/bin/python -m pytest tests/deploy/test_precisions.py

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
