# A contributor's commands, from a fresh clone on: `make help` lists them. Needs GNU make and Python 3.11 or newer.

PYTHON ?= python3
TORCH ?= torch==2.13.0

# The environment is made anew for another torch and in another folder: it holds absolute paths.
MADE_FOR := $(TORCH) in $(CURDIR)
PIP_INSTALL := .venv/bin/python -m pip install -qq --disable-pip-version-check
export TORCH MADE_FOR

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help test check demo models bench gpu-bench clean outdated
.SILENT:

help: ## list these commands
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

test: .venv/dev.stamp ## set everything up, then run the tests
	echo "==> running the tests"
	.venv/bin/python -m pytest --numprocesses 2 --dist loadgroup

check: .venv/dev.stamp ## lint, formatting, types and import contracts
	failed=; \
	for tool in "ruff check" "ruff format --check" "mypy" "lint-imports"; do \
		echo "==> $$tool"; \
		.venv/bin/$$tool || failed="$$failed, $$tool"; \
	done; \
	[ -z "$$failed" ] || { echo "error: correct what these report above: $${failed#, }." >&2; exit 1; }

demo: .venv/dev.stamp ## install chatterbox, find its graph breaks, repair them, prove it
	echo "==> preparing chatterbox (some minutes the first time)"
	.venv/bin/python examples/chatterbox/install.py
	.venv/bin/python examples/chatterbox/demo.py

models: .venv/dev.stamp ## install the versions of transformers that the model tests use
	.venv/bin/python examples/huggingface/install.py

bench: .venv/dev.stamp .venv/torchfix.stamp ## time scans beside what else there is (some minutes)
	.venv/bin/python tests/bench_scan.py
	TORCHFIX=$(CURDIR)/.venv/torchfix/bin/torchfix .venv/bin/python tests/bench_static.py

gpu-bench: .venv/dev.stamp ## on a CUDA machine: what fixes and plans are worth on chatterbox, at full size
	.venv/bin/python examples/chatterbox/install.py
	.venv/bin/python examples/chatterbox/bench.py

clean: ## remove the environment, caches and outputs
	rm -rf .venv build dist out graphfix.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find graphfix rules tests examples -name __pycache__ -prune -exec rm -rf {} +

# A stamp is written last, so that an interrupted step is taken again.

.venv/torchfix.stamp: .venv/dev.stamp # in an environment of its own: it wants an older libcst
	echo "==> installing torchfix"
	"$(PYTHON)" -m venv --clear .venv/torchfix
	.venv/torchfix/bin/python -m pip install -qq --disable-pip-version-check torchfix
	touch $@

.venv/dev.stamp: .venv/torch.stamp pyproject.toml
	echo "==> installing graphfix and its tools"
	.venv/bin/python -c 'import importlib.metadata as m; print("torch==" + m.version("torch"))' > .venv/constraints.txt
	$(PIP_INSTALL) --constraint .venv/constraints.txt --editable '.[dev]' || { \
		echo "error: graphfix's tools could not be installed; see pip's reason above, then run make again." >&2; \
		exit 1; \
	}
	touch $@

.venv/torch.stamp:
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
		echo "error: $(PYTHON) is missing or older than 3.11; install Python 3.11 or newer," \
			"or name it: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	}
	"$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null || { \
		echo "error: $(PYTHON) has no venv module; install it (Debian and Ubuntu: apt install python3-venv)." >&2; \
		exit 1; \
	}
	echo "==> making .venv"
	"$(PYTHON)" -m venv --clear .venv || { \
		echo "error: .venv could not be made; see the reason above, then run make again." >&2; \
		exit 1; \
	}
	echo "==> installing $$TORCH (some minutes)"
	$(PIP_INSTALL) "$$TORCH" || { \
		echo "error: $$TORCH could not be installed; see pip's reason above, then run make again." >&2; \
		exit 1; \
	}
	printf '%s\n' "$$MADE_FOR" > $@

ifneq ($(MADE_FOR),$(shell cat .venv/torch.stamp 2> /dev/null))
.venv/torch.stamp: outdated
endif
