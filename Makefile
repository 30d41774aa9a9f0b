# `make` without a target lists what there is.
.DEFAULT_GOAL := help
.PHONY: help format lint types test test-vllm histories chaos chaos-postgres chaos-redis chaos-full-disk simulate-faults simulate-quotes bench-queue bench-gateway bench-batches bench-fairness bench-pipeline bench-scaling live-autoscale test-postgres-million e2e-postgres e2e-redis e2e-gcp e2e-azure e2e-aws bench-postgres docs lock

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

format:  ## Format the code and sort its imports
	uv run ruff format
	uv run ruff check --fix

lint:  ## Check style, import contracts and spelling
	uv run ruff format --check
	uv run ruff check
	uv run lint-imports
	uv run codespell

types:  ## Check the types
	uv run basedpyright

test:  ## Run all tests, lint and types among them, as continuous integration does
	.ci/run

test-vllm:  ## Run the end-to-end tests against a real vLLM on this CPU
	VLLM_PYTHON=$$(tests/e2e/vllm_environment.sh) uv run pytest tests/e2e/test_real_engines.py

test-postgres-million:  ## Count the pages that statements touch on PostgreSQL with a million jobs
	HEADPOND_ROWS=1000000 uv run pytest tests/unit/adapters/postgres/test_plans.py

STACK_JOBS ?= 300
e2e-postgres e2e-redis e2e-gcp e2e-azure:  ## The demo's input through that stack while processes are killed or frozen, hosts cut off (root)
	uv run python -m tests.e2e.stacks $(@:e2e-%=%) --jobs $(STACK_JOBS)

e2e-aws:  ## The same on AWS's emulator, which takes 30 ms for a transaction
	uv run python -m tests.e2e.stacks aws --jobs 100

histories:  ## Compare every queue and store with the model in memory in ten times as many random histories
	HEADPOND_HISTORIES=long uv run pytest -rs tests/model -k "histories_of_the_model" -n 2

chaos:  ## Kill processes under load and count what became of every job
	uv run python -m tests.chaos.kills

chaos-postgres:  ## The same with two gateways on a PostgreSQL server, which crashes too
	uv run python -m tests.chaos.kills --postgres

chaos-redis:  ## The same with queue and streams in a Valkey, which crashes too
	uv run python -m tests.chaos.kills --redis

chaos-full-disk:  ## The same on a small disk that is full now and then (Linux, user namespaces)
	disk=$$(mktemp -d) && unshare --map-root-user --mount sh -c \
	  "mount -t tmpfs -o size=512m none $$disk && uv run python -m tests.chaos.kills --full-disk $$disk"

SEEDS ?= 10000
simulate-faults:  ## Run SEEDS=10000 worlds in which everything goes wrong, on virtual time
	uv run python -m headpond.testing.simulation --store memory --seeds $(SEEDS)
	uv run python -m headpond.testing.simulation --store sqlite --seeds $(SEEDS)

simulate-quotes:  ## Measure how often jobs end by what their quotes said
	uv run python -m tests.simulation.quotes --jobs 10000

bench-queue:  ## Measure our queue beside others
	uv run --no-project --python 3.11 python -m benchmarks.queue_peers

bench-gateway:  ## Measure POST /jobs over HTTP
	uv run --no-project --python 3.11 python -m benchmarks.gateway

bench-batches:  ## Measure a batch of 50,000 lines
	uv run python -m benchmarks.batches

bench-fairness:  ## Measure the shares of teams, and what a newcomer waits for
	uv run python -m benchmarks.fairness

FINISHED ?= 10000000
bench-postgres:  ## Drain PostgreSQL with none and with FINISHED=10000000 finished jobs in it
	uv run python -m benchmarks.postgres_finished --finished $(FINISHED)

bench-pipeline:  ## Measure submit to result with an instant engine
	uv run --no-project --python 3.11 python -m benchmarks.pipeline

TRACES ?= traces
bench-scaling:  ## Compare scaling policies over the public traces in TRACES=folder
	uv run python -m benchmarks.scaling $(TRACES)

live-autoscale:  ## A burst from zero and back with a cold start of 20 s; prints waits and fleet
	uv run python -m benchmarks.live_autoscale

docs:  ## Write the generated reference pages
	uv run headpond config reference > docs/settings.md
	uv run python tools/queue_powers.py

lock:  ## Write the exact versions of all that is tested into pyproject.toml
	uv run --no-sync python tools/lock.py
