# Every target creates what it needs. CI runs exactly these.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: env demo demo-study test lint docs bench clean

# The core is enough for the demo; tests and extras come on top.
.venv/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade "pip>=25.1"
	$(PIP) -e .
	@touch $@

.venv/.dev: .venv/.core
	$(PIP) -e ".[all]" --group dev
	@touch $@

.venv/.docs: .venv/.core
	$(PIP) --group docs
	@touch $@

env: .venv/.dev

demo: .venv/.core
	$(BIN)/pathfuse demo --out pathfuse-demo --force

# From feature folders to the report: a made-up cohort, three encoders, one study file.
demo-study: .venv/.dev
	$(BIN)/python -m pathfuse.testing.demo pathfuse-demo-study
	$(BIN)/pathfuse run pathfuse-demo-study/study.yaml

test: .venv/.dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: .venv/.dev
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

# Strict: a broken link or a name that does not exist fails, and so does a page that asks the network for anything.
docs: .venv/.docs
	$(BIN)/zensical build --clean --strict
	$(BIN)/python tests/check_site.py site

bench: .venv/.dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv pathfuse-demo pathfuse-demo-study build dist site .cache
