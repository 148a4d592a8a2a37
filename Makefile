# One door for every habit: `make help` lists them.
# Variables: PYTHON (which Python makes .venv), ARGS (passed on, e.g. `make demo ARGS=--quick`).
PYTHON ?= python3
ARGS ?=
BENCH ?= $(sort $(filter-out benchmarks/records.py benchmarks/bodies.py benchmarks/contact_variants.py,$(wildcard benchmarks/*.py)))

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
# Nothing here opens a window; what you set yourself is kept (`MUJOCO_GL=egl make test`).
HEADLESS := MUJOCO_GL=$${MUJOCO_GL-disabled}

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-slow check format bench clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.installed ## Train on the learned reacher, evaluate on the true one (ARGS=--quick: a minute)
	$(HEADLESS) $(BIN)/mosim-gym demo $(ARGS)

test: $(VENV)/.installed-dev ## Run the tests (ARGS: pytest's own)
	$(HEADLESS) $(BIN)/python -m pytest $(ARGS)

test-slow: $(VENV)/.installed-dev ## Run the tests that take minutes
	$(HEADLESS) $(BIN)/python -m pytest -m slow $(ARGS)

check: $(VENV)/.installed-dev ## Lint, check the format, check the types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## Fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-bench ## Produce the figures of README again (BENCH=benchmarks/<name>.py: one)
	@test -n "$(BENCH)" || { echo "No benchmark script in benchmarks/."; exit 1; }
	@set -e; for script in $(BENCH); do echo "$$script"; $(HEADLESS) $(BIN)/python $$script $(ARGS); done

clean: ## Remove .venv, build outputs and caches (runs and datasets stay)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find mosim_gym tests examples benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

# Stamps: each set-up is done again only when the two files that define it change.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing mosim-gym into $(VENV) (some minutes the first time)"
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing mosim-gym and the tools of its tests into $(VENV) (some minutes the first time)"
	$(INSTALL) -e ".[dev]"
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing mosim-gym and what it is compared with into $(VENV)"
	$(INSTALL) -e ".[bench]"
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3"; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "mosim-gym needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12"; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian: apt install python3-venv"; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
