# `make demo` and `make test` each do all their set-up on a fresh machine.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test check bench tuning-free browser compat faults format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "danlu needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY) ## train on real handwritten digits, offline
	$(BIN)/danlu train digits

test: $(READY) ## the whole test suite (no network, no GPU)
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

check: $(READY) ## lint, format, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(MAKE) test

bench: $(READY) ## step time against torch.optim, other libraries and the memory floor; tables into bench/
	$(BIN)/python benchmarks/step.py --out bench
	$(BIN)/python benchmarks/whole.py
	$(BIN)/python benchmarks/codecs.py
	$(BIN)/python benchmarks/compositions.py
	$(BIN)/python benchmarks/stacks.py
	$(BIN)/python benchmarks/lines.py
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/trainer.py

browser: $(READY) ## the page in a real browser (installs playwright; needs chromium on the path)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt playwright
	$(BIN)/python -m pytest -q tests/page/test_browser.py

tuning-free: $(READY) ## optimizers on 45 small workloads against tuned AdamW, into runs/ (takes up again where it was stopped)
	$(BIN)/python -m benchmarks.tuning_free --results runs/tuning-free

compat: $(READY) ## every optimizer in the loops of Lightning, Accelerate and Hugging Face (installs them)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[compat]'
	$(BIN)/python -m pytest -q tests/compat

faults: $(READY) ## the fault campaign: kills, damage, hostile files, full disks (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m faults

format: $(READY) ## rewrite in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
