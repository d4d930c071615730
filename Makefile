# Everything there is to do here. `make` alone explains itself.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# The tests start hundreds of processes: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
STAMP := .venv/.installed
CODE := sdk services tests bench examples scripts deploy
TYPED := sdk/windlass services/core/windlass_core services/dispatcher/windlass_dispatcher \
	services/scheduler/windlass_scheduler services/api/windlass_api tests bench examples scripts deploy
ARGS :=

help: ## this list
	@echo 'make TARGET   (ARGS="..." goes to pytest, or to the bench)'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## .venv with Windlass and all tools; a no-op while it is up to date

$(STAMP): scripts/install.sh constraints.txt pyproject.toml sdk/pyproject.toml services/pyproject.toml
	@scripts/install.sh
	@touch $(STAMP)

demo: install ## survey this machine's Python standard library with a cluster of its own
	@$(BIN)/python -m examples.stdlib_survey

test: install ## all tests but the long ones
	@$(BIN)/pytest -m "not long" $(ARGS)

test-long: install ## the long ones
	@$(BIN)/pytest -m long $(ARGS)

conformance: install ## drive a worker in any language through the worker protocol: WORKER="COMMAND ..."
	@$(BIN)/python -m tests.conformance --worker '$(or $(WORKER),$(BIN)/python -m tests.conformance.python_worker)' $(ARGS)

compose-test: install ## deploy/compose.yaml with real Docker: scaled, killed, taken down; 77 without Docker
	@$(BIN)/python -m tests.compose

polyglot: install ## build the Go and TypeScript examples and have them work with each other and Python
	@$(BIN)/python -m examples.polyglot $(ARGS)

traces: install ## one connected trace in a real back end, Arize Phoenix; ARGS=--keep leaves it up
	@$(BIN)/python -m examples.tracing $(ARGS)

bench: install ## measure against Celery, dramatiq and saq; QUICK=1 for two minutes
	@QUICK="$(QUICK)" $(BIN)/python -m bench $(ARGS)

proto: install ## generate the stubs from proto/
	@scripts/generate_stubs.sh sdk

format: install ## put all code into its one format, and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

lint: install ## ruff, buf, the import contracts, and no file committed that is to be ignored
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/buf lint proto
	@$(BIN)/lint-imports
	@! git ls-files --cached --ignored --exclude-standard 2>/dev/null | grep .

types: install ## strict mypy
	@$(BIN)/mypy $(TYPED)

docs: install ## write the generated pages: settings, and who may call what
	@$(BIN)/python scripts/settings_page.py --write
	@$(BIN)/python scripts/security_table.py --write

docs-check: install ## links, paths and generated pages are true
	@$(BIN)/python scripts/settings_page.py --check
	@$(BIN)/python scripts/security_table.py --check
	@$(BIN)/python scripts/check_docs.py

stubs-check: install ## the committed stubs are what proto/ gives
	@scripts/check_stubs.sh

verify: stubs-check lint types docs-check ## all that is checked without running the engine
	@echo 'verify: all good'

changelog: install ## what the next release's notes would say
	@$(BIN)/towncrier build --draft --version next --name Windlass --date "$$(date +%F)"

clean: ## remove what was made here, .venv too
	@rm -rf .venv .windlass .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage dist
	@rm -rf .cache $(addprefix examples/polyglot/,go/gen go/bin typescript/node_modules typescript/src/gen typescript/dist)
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help install demo test test-long conformance compose-test polyglot traces bench proto format lint types docs \
	docs-check stubs-check verify changelog clean
