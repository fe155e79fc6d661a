PYTHON ?= python3
VENV ?= .venv

.PHONY: install serve fast lint test

install: ## with everything that the tests need
	$(PYTHON) -m venv $(VENV) && $(VENV)/bin/pip install -q -e '.[test,link]'

serve: ## the daemon
	$(VENV)/bin/vaebridge serve

fast: ## the tests that start no process and train nothing
	$(VENV)/bin/python -m pytest -m fast

lint: ## as the gate does, but mending what can be mended
	$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix . && $(VENV)/bin/mypy

test: ## the gate: everything
	$(VENV)/bin/python -m tests.gate
