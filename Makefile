# The project's commands. `make` alone explains them; everything else is `listune --help`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help env fetch demo format check unit test chaos experiment experiment-pictures \
	bench-serving bench-training bench-stream bench-pictures bench-gate bench-arms bench-drift \
	bench-audit bench-canary bench-shadow gpu-check gpu-check-pack lint types clean

CATALOG ?=
SCHEMA ?=
ALTERNATIVES ?=
ARGS ?=

# What does not wait for another goes side by side: checking types takes a core, fetching the network.
MAKEFLAGS += --jobs=2

BIN := .venv/bin

# See infra/cli/app.py: threads that wait by spinning starve the other processes of a test.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 1000

# The environment's own Python, else the first that fits; PYTHON=... names another.
SUPPORTED := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
define FIND_PYTHON
found=""; \
for python in $(PYTHON) .venv/bin/python python3.11 python3.12 python3 python; do \
  if "$$python" -c "$(SUPPORTED)" >/dev/null 2>&1; then found="$$python"; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo "listune: no Python 3.11 or 3.12 was found: install one, or run make PYTHON=/path/to/python3.11" >&2; \
  exit 1; \
fi
endef

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: ## Make .venv with everything pinned in it (needs only Python 3.11 or 3.12)
	@$(FIND_PYTHON); exec "$$found" infra/bootstrap.py

fetch: env ## Bring Kafka, Triton, base model and picture encoder into the cache (once, about 220 MB)
	@$(BIN)/python -m infra.cli fetch $(if $(filter test,$(MAKECMDGOALS)),,$(ARGS))

demo: env ## Run the whole loop: make demo [CATALOG=x.jsonl SCHEMA=x.json [ALTERNATIVES=1]]
	@$(BIN)/python -m infra.cli demo $(if $(CATALOG),--catalog "$(CATALOG)") \
		$(if $(SCHEMA),--schema "$(SCHEMA)") $(if $(ALTERNATIVES),--alternatives) $(ARGS)

format: env ## Lay the code out as `make lint` wants it, and mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

check: lint types unit ## Check style, types and imports, and run the unit tests: before a commit

unit: env ## Run the quick tests: no Kafka, no Triton, no download, no training
	@$(BIN)/python -m pytest -n 2 -m "not parts and not slow" $(ARGS)

test: lint types fetch ## Check style, types and imports, and run all tests
	@$(BIN)/python -m pytest -n 2 $(ARGS)

chaos: env ## Kill every process at random under load and audit the topics (ARGS="--kills 10")
	@$(BIN)/python -m infra.cli chaos $(ARGS)

bench-serving: env ## Compare serving with other ways on this machine (ARGS=--quick to try)
	@$(BIN)/python infra/bootstrap.py bench
	@$(BIN)/python -m infra.cli bench serving $(ARGS)

bench-training: env ## Compare training with TRL on this machine (ARGS=--quick to try)
	@$(BIN)/python infra/bootstrap.py trl
	@$(BIN)/python -m infra.cli bench training $(ARGS)

bench-stream: env ## Measure the streams against bare loops on this machine (ARGS=--quick to try)
	@$(BIN)/python -m infra.cli bench stream $(ARGS)

bench-pictures: env ## Measure how pictures are checked and bombs refused (ARGS=--quick to try)
	@$(BIN)/python -m infra.cli bench pictures $(ARGS)

bench-gate: env ## Simulate how often the gate is wrong (ARGS=--quick to try)
	@$(BIN)/python -m infra.cli bench gate $(ARGS)

bench-arms: env ## Simulate how sure live statistics are (ARGS=--quick to try)
	@$(BIN)/python -m infra.cli bench arms $(ARGS)

bench-drift: env ## Simulate the alarm on falling acceptance (ARGS=--quick to try)
	@$(BIN)/python -m infra.cli bench drift $(ARGS)

bench-audit: env ## Simulate how narrow an audit's interval is (ARGS=--quick to try)
	@$(BIN)/python -m infra.cli bench audit $(ARGS)

bench-canary: env fetch ## Try worse adapters on the real stack's sellers (ARGS=--quick to try)
	@$(BIN)/python -m infra.cli bench canary $(ARGS)

bench-shadow: env fetch ## See whether sellers wait longer beside shadow answers (ARGS=--quick to try)
	@$(BIN)/python -m infra.cli bench shadow $(ARGS)

gpu-check: env ## See on this machine's GPU what engine and trainer do (ARGS=--cpu-rehearsal to try)
	@$(BIN)/python -m infra.lab.gpu_check $(ARGS)

gpu-check-pack: env ## Pack what that check needs on a GPU machine without a network
	@$(BIN)/python -m infra.lab.gpu_check.pack

experiment: env ## Compare strategies on real catalogs, resumable (ARGS="--data DIR --profile full")
	@$(BIN)/python -m infra.cli experiment $(ARGS)

experiment-pictures: env ## Measure what pictures bring on real catalogs, resumable
	@$(BIN)/python -m infra.cli experiment pictures $(ARGS)

lint: env ## Check style (ruff) and the import direction between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: env ## Check types (mypy)
	@$(BIN)/mypy

clean: ## Remove .venv and what tools left; the runs and the cache of parts stay
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
