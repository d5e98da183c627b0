# Everything here runs on throw-away PostgreSQL and Valkey servers from wheels, unless
# DATABASE_URL and REDIS_URL name others. Needs Python 3.11 or newer.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
WITH_SERVICES := $(BIN)/python -m paymentvault.embedded
MANAGE := $(BIN)/python manage.py
SOURCES := paymentvault partners disbursements mifos
# Extra arguments: make test ARGS="-k payout"
ARGS ?=

run demo screenshots worker shell: export DEBUG ?= 1

.PHONY: help
help: ## Show this list
	@sed -nE 's/^([a-z.]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 13

.PHONY: .venv
.venv: .venv/.installed ## Install what is locked into .venv

# The stamp comes last, so that a broken-off installation is begun anew.
.venv/.installed: requirements-dev.lock
	@echo "Installing into .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: run
run: .venv ## Run the portal, its workers, a pretend M-Pesa and a pretend Mifos X
	@$(WITH_SERVICES) $(MANAGE) sandbox run $(ARGS)

.PHONY: demo
demo: .venv ## Pay loans from approval to record, tell what happened, and stop
	@$(WITH_SERVICES) $(MANAGE) sandbox demo $(ARGS)

.PHONY: test
test: .venv ## Run the tests
	@$(WITH_SERVICES) $(BIN)/python -m pytest $(ARGS)

.PHONY: screenshots
screenshots: .venv ## Take the README's pictures from a demo of their own
	@$(WITH_SERVICES) $(BIN)/python -m tests.browser.screenshots $(ARGS)

.PHONY: bench-audit
bench-audit: .venv ## Measure the review of an audit of ten million lines
	@$(WITH_SERVICES) $(BIN)/python -m benchmarks.audit

.PHONY: bench
bench: .venv ## Measure how long a borrower waits, beside what no design can spare
	@$(WITH_SERVICES) $(BIN)/python -m benchmarks.latency

.PHONY: lint
lint: .venv ## Check style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports

.PHONY: fmt
fmt: .venv ## Format, and mend what can be mended
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: check
check: .venv ## Check migrations, and the settings as production would have them
	@$(AS_IN_PRODUCTION) $(WITH_SERVICES) $(MANAGE) makemigrations --check --dry-run
	@$(AS_IN_PRODUCTION) $(WITH_SERVICES) $(MANAGE) check --deploy --fail-level WARNING

RANDOM_KEY = $$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')
AS_IN_PRODUCTION = DEBUG=0 PUBLIC_URL=https://vault.example.org ALLOWED_HOSTS=vault.example.org \
  MPESA_CALLBACK_NETWORKS=196.201.214.0/24 SECRET_KEY=$(RANDOM_KEY) FERNET_KEYS=$(RANDOM_KEY)

.PHONY: worker
worker: .venv ## Run one worker for all queues (on the DATABASE_URL and REDIS_URL given)
	@$(WITH_SERVICES) $(BIN)/celery -A paymentvault worker --pool threads --concurrency 8 \
	  --queues callbacks,payouts,questions,events,recording,polls,sweeps,jobs,deliveries \
	  --loglevel INFO $(ARGS)

.PHONY: shell
shell: .venv ## Open Django's shell
	@$(WITH_SERVICES) $(MANAGE) shell $(ARGS)

.PHONY: lock
lock: .venv ## Look up the newest allowed versions and write them, with hashes, into the lock files
	@$(LOCK) -o requirements.lock
	@$(LOCK) --extra dev -o requirements-dev.lock

# Names neither an index nor this machine; --universal covers every system and Python ≥ 3.11.
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
  --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
  --custom-compile-command "make lock"

.PHONY: clean
clean: ## Delete .venv and the caches
	@rm -rf .venv staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
