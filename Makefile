# Everything a checkout can do. Each target sets up what it needs first; a second set-up takes no time.
#   PYTHON=/path/to/python3   interpreter for .venv (3.10 to 3.13); default: the one in use, otherwise python3
#   MODEL=1                   install the extra [model] too (torch, transformers); `make test` and `make bench` always do
#   VIEW=1                    install the extra [view] too (viser, for `n3d view`); `make test` always does
#   EVAL=1                    install the extra [eval] too (Open3D, for `n3d depth eval`); `make test` always does
#   TRAIN=1                   install the extra [train] too, with [model] (for `n3d dataset`, `n3d train`, `n3d eval`); `make test` always does
#   DOCS=1                    install what builds the documentation too (Python 3.11 and newer); `make docs` always does
#   BAG=path OUT=folder       bag and output folder of `make demo`
#   ARGS="..."                more arguments for pytest (`make test`) or the benchmarks (`make bench`)

PYTHON ?=
MODEL ?=
VIEW ?=
EVAL ?=
TRAIN ?=
DOCS ?=
BAG ?=
OUT ?= out/demo
ARGS ?=
export PYTHON BAG OUT

.DEFAULT_GOAL := help
.PHONY: help setup setup-model setup-test setup-docs demo test test-long check test-numpy1 bench docs clean

# "--name" when the variable's value says yes.
asked = $(if $(filter-out 0 no false,$(2)),--$(1))

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@sed -n '2,9s/^#//p' Makefile

setup: ## system packages (as root), .venv with ROS 2, interface packages; MODEL=1, VIEW=1, EVAL=1, TRAIN=1, DOCS=1: more
	@scripts/setup $(call asked,model,$(MODEL)) $(call asked,view,$(VIEW)) $(call asked,eval,$(EVAL)) $(call asked,train,$(TRAIN)) $(call asked,docs,$(DOCS))

setup-model:
	@scripts/setup --model

setup-test:
	@scripts/setup --model --view --eval --train

setup-docs:
	@scripts/setup --docs

demo: setup ## replay a bag into the node and show what it found (BAG=path, OUT=folder)
	@scripts/demo

test: setup-test ## static checks, then all tests
	@scripts/check
	@scripts/test $(ARGS)

test-long: setup-test ## tests that take minutes: a long session, odd questions and messages
	@scripts/test -m long $(ARGS)

check: setup ## static checks alone
	@scripts/check

test-numpy1: setup ## the tests that need no ROS, with numpy 1.26 and OpenCV 4
	@scripts/test_numpy1 $(ARGS)

bench: setup-model ## all benchmarks, with the table they leave in docs/benchmarks
	@scripts/bench $(ARGS)

docs: setup-docs ## the documentation as web pages
	@scripts/docs $(ARGS)

clean: ## remove .venv, builds and caches
	rm -rf .venv .venv-numpy1 .ros build install log out .gpu_job .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
