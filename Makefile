# Everything here needs Python 3.11 or newer and make; each target builds .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2

.PHONY: demo test test-slow check format bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(0 if sys.version_info >= (3, 11) else "Foveal needs Python 3.11 or newer; this is " + v + ". Say: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

demo: $(READY)  ## train on scikit-learn's handwritten digits in under a minute
	$(BIN)/foveal demo --out runs/demo

test: $(READY)  ## every test but the slow ones, with coverage
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" --cov --cov-report=term:skip-covered

test-slow: $(READY)  ## the long tests
	$(BIN)/python -m pytest -n 0 -m slow

check: $(READY)  ## style, types, and the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_house.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## speed, side by side with peers (see benchmarks/README.md)
	$(BIN)/python benchmarks/training.py

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache
