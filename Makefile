# Every target creates what it needs. CI runs exactly these.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: env demo demo-study demo-dense test test-all fuzz lint docs bench bench-dense clean

# The core is enough for the demo; tests and extras come on top.
.venv/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade "pip>=25.1"
	$(PIP) -e .
	@touch $@

# torchvision comes alone and first: its wheel would bring CUDA packages along.
.venv/.dev: .venv/.core dev/torchvision_schemas.py
	$(PIP) "torch>=2.8"
	$(PIP) --no-deps torchvision
	$(PIP) -e ".[all]" --group dev
	$(BIN)/python dev/torchvision_schemas.py
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

# Segmentation: made-up tissue, three small encoders, three strategies, their fusion, a leaderboard.
demo-dense: .venv/.dev
	$(BIN)/python -m pathfuse.testing.tissue pathfuse-demo-dense
	$(BIN)/pathfuse dense run pathfuse-demo-dense/grid.yaml --jobs 2

# All but what is marked slow or long: less than 7 minutes on two cores.
test: .venv/.dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# And what is slow: real studies, an environment of its own, pages in a browser, long trainings. What CI runs.
test-all: .venv/.dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

# 50,000 mutations of the files that pathfuse reads; PATHFUSE_FUZZ_SEED=1 makes others.
fuzz: .venv/.dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PATHFUSE_FUZZ=1800 $(BIN)/python -m pytest -n 2 --dist worksteal -m slow tests/fuzz

lint: .venv/.dev
	$(BIN)/ruff check src tests benchmarks dev
	$(BIN)/ruff format --check src tests benchmarks dev
	$(BIN)/mypy

# Strict: a broken link or a name that does not exist fails, and so does a page that asks the network for anything.
docs: .venv/.docs
	$(BIN)/python dev/list_methods.py
	$(BIN)/zensical build --clean --strict
	$(BIN)/python tests/check_site.py site

bench: .venv/.dev
	$(BIN)/python -m benchmarks

# Segmentation on real images, and its memory and speed: about half an hour.
bench-dense: .venv/.dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -m long tests/dense
	$(BIN)/python -m benchmarks dense dense_rivals dense_strategies dense_tokens dense_speed dense_memory dense_instances counting_speed

clean:
	rm -rf .venv pathfuse-demo pathfuse-demo-study pathfuse-demo-dense build dist site .cache
