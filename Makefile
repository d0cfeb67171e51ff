# Every target installs what it needs. Only Python >= 3.12 must be installed already.
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
BIN := .venv/bin
RUNTIME := .venv/.runtime-installed
STAMP := .venv/.installed
PORT ?= 8000
# --no-strip-extras: older versions of pip treat a package with an extra as a different package, and would look for its
# newest release.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
	--no-annotate --no-strip-extras --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help run demo migrate test test-all lint format messages lock fuzz mutation bench screenshots clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/pyvenv.cfg: .python-version | $(filter .tools/bin/uv,$(UV))
	$(UV) venv --quiet --seed --allow-existing .venv

# Running the application needs only a part of the development packages. This rule must not remove the others.
$(RUNTIME): requirements-runtime.txt .python-version | .venv/pyvenv.cfg
	$(UV) pip install --quiet --require-hashes --python $(BIN)/python --requirements requirements-runtime.txt
	@touch $@

$(STAMP): requirements.txt .python-version | .venv/pyvenv.cfg
	$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.txt
	@touch $(RUNTIME) $@

run: $(RUNTIME) ## Start the pages and the API on http://localhost:8000 (PORT=8801 for another port; SQLite unless DATABASE_URL is set)
	$(BIN)/uvicorn app.main:app --http app.edge.protocol:BoundedProtocol --port $(PORT) --reload --reload-dir app --no-proxy-headers --timeout-graceful-shutdown 8

demo: $(RUNTIME) ## Fill the database with a realistic sample clinic and print log-ins to try
	$(BIN)/python -m app.cli demo

migrate: $(RUNTIME) ## Migrate the database of DATABASE_URL to the newest schema
	$(BIN)/python -m app.cli migrate

test: $(STAMP) ## Run the tests on SQLite and PostgreSQL, except the slow ones: browser, races, generated requests
	$(BIN)/python -m pytest -n auto --dist loadgroup -m 'not slow'

test-all: $(STAMP) ## Run all tests, and require 100 % branch coverage of scheduling and services
	$(BIN)/python -m pytest -n auto --dist loadgroup --cov --cov-report= --durations=30
	$(BIN)/coverage report --fail-under=100

lint: $(STAMP) ## Check style, types, layers, dependencies, compose file and Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile

format: $(STAMP) ## Format the code and fix what can be fixed automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(STAMP) ## Collect the texts of the pages into the catalogues for translation
	$(BIN)/pybabel --quiet extract --mapping pyproject.toml --keywords N_ --no-location --sort-output --omit-header --width 120 --output .messages.pot app/web
	for language in de es; do $(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete --omit-header --width 120 \
		--input-file .messages.pot --output-dir app/web/locales --locale $$language --domain messages || exit 1; done
	rm .messages.pot

lock: $(filter .tools/bin/uv,$(UV)) ## Compile the lock files from pyproject.toml
	$(COMPILE) --group dev pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --output-file requirements-runtime.txt

fuzz: $(STAMP) ## Send about 100,000 generated requests to the API (FUZZ_EXAMPLES per operation; FUZZ_LOG names a file)
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-170} $(BIN)/python -m pytest tests/fuzz -n 2

mutation: $(STAMP) ## Check that the tests detect mutations in the code for log-ins, codes, roles and booking
	.ci/mutation

bench: $(STAMP) ## Run the benchmarks (25 minutes); write results.json and the figures of docs/performance.md
	$(BIN)/python -m benchmarks

screenshots: $(STAMP) ## Take the screenshots of the documentation (needs Chromium)
	$(BIN)/python -m screenshots

clean: ## Remove everything that make has created
	rm -rf .venv .tools .mutation .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
