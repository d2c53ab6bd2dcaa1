# Two commands matter: `make demo` and `make test`. Both build .venv first, from pinned and hashed requirements.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup assembly demo test wheel test-wheel test-torch test-agent-pythons docs bench bench-agent bench-cli bench-cost-watch bench-control-plane rivals burst chaos chaos-local chaos-bugs aws-smoke snapshot audit check format lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## Build .venv (every other target does it first)

$(READY): requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "runctl needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=python3.x"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

assembly: $(READY) ## Synthesize the template and build the assets into runctl/_assembly
	$(BIN)/python -m stacks.build_assembly

demo: assembly ## Train, interrupt, resume, compare: the main job on the local target (rights enforced, with IAM=1 and without)
	$(BIN)/python -m tests.demo.run_demo

test: assembly ## Everything that CI runs (three at a time: the local cloud's tests mostly wait)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

wheel: assembly ## Build the wheel into dist (no package index is asked)
	rm -rf dist
	$(BIN)/python -m hatchling build -t wheel -d dist

test-wheel: wheel ## Install the wheel from the package index in a clean environment, and train with it
	$(BIN)/python -m tests.wheel.from_index dist/*.whl

test-agent-pythons: assembly ## Run the agent's tests on every Python from 3.11 to 3.14 that is here (PYTHONS=...)
	$(BIN)/python -m tests.agent.pythons $(PYTHONS)

test-torch: $(READY) ## Install PyTorch from the package index (gigabytes on Linux), interrupt a training, compare the weights
	$(BIN)/python -m tests.torch

docs: $(READY) ## Build the documentation as a site into build/docs/site; a link that leads nowhere fails it
	test -x build/docs-venv/bin/python || $(BIN)/uv venv -q --python $(BIN)/python build/docs-venv
	$(BIN)/uv pip sync -q --python build/docs-venv/bin/python --require-hashes requirements/docs.txt
	$(BIN)/python -m docs_site --generator build/docs-venv/bin/zensical

bench: assembly ## Measure the local target: first line of a training, memory, what a longer training costs
	$(BIN)/python -m benchmarks

bench-cost-watch: $(READY) ## Count what one look of the cost watch over 1,000 runs costs (a minute)
	$(BIN)/python -m benchmarks.cost_watch

bench-control-plane: assembly ## Count what the controller costs a run of 24 hours (three minutes)
	$(BIN)/python -m benchmarks.control_plane

bench-agent: assembly ## Measure what the agent takes of a machine: memory, share of a core, start (five minutes)
	$(BIN)/python -m benchmarks.agent

bench-cli: assembly ## Measure the command line: help, ps with 1,000 runs, how soon a line of the log is shown
	$(BIN)/python -m benchmarks.command_line

rivals: $(READY) ## Install sky, dstack, modal and metaflow below build/rivals, for bench-cli (a gigabyte)
	for pair in sky:skypilot dstack:dstack modal:modal metaflow:metaflow; do \
	  at=build/rivals/$${pair%%:*}; test -x $$at/bin/python || $(BIN)/uv venv -q --python $(BIN)/python $$at || exit 1; \
	  $(BIN)/uv pip install -q --compile-bytecode --python $$at/bin/python $${pair##*:} || exit 1; done

burst: assembly ## Submit 500 runs against ten concurrent invocations: every run ends well, memory stays small
	$(BIN)/python -m benchmarks.burst

chaos: assembly ## Let 10000 simulated runs meet every fault (RUNS=...), or tell one story again (SEED=...)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(if $(FIRST),--first $(FIRST))

chaos-local: assembly ## Let 200 runs meet faults on the local target, 20 at a time (RUNS=...)
	$(BIN)/python -m tests.local.chaos $(if $(RUNS),--runs $(RUNS))

chaos-bugs: assembly ## Plant bugs one by one and see that the simulation finds each
	$(BIN)/python -m tests.chaos.bugs

aws-smoke: assembly ## Deploy, interrupt, check and remove in a real account (ACCOUNT=..., at most 1 USD)
	$(BIN)/python -m tests.aws_smoke --account "$(ACCOUNT)" $(if $(PROFILE),--profile $(PROFILE)) $(if $(REGION),--region $(REGION))

snapshot: assembly ## Take the template as it is now for the one that was looked at
	$(BIN)/python -m tests.gates.test_snapshot

audit: $(READY) ## Ask the vulnerability database about everything that is locked (needs the network)
	$(BIN)/python -m tests.gates.audit

check: $(READY) ## Style, types and import rules, in seconds
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/basedpyright

format: $(READY) ## Let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY) ## Compile requirements/*.in again (add UPGRADE=--upgrade to move versions)
	cd requirements && for name in dev lambda agent bootstrap torch docs; do \
	  ../$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-annotate --no-header $(UPGRADE) \
	    $$( [ $$name = dev ] || [ $$name = torch ] || [ $$name = docs ] || echo -c dev.txt ) $$name.in -o $$name.txt; done

clean: ## Remove what make built (not .runctl, which holds the state of the local target)
	rm -rf .venv cdk.out runctl/_assembly build dist
