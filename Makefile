# Everything runs in .venv, which `make install` makes; all other targets stand on it.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo.h5

.PHONY: install demo test lint format clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# The main job on embedded data: a phantom of electron microscopy with the paper's label faults.
demo: install
	mkdir -p runs
	$(BIN)/cellab data synth $(DEMO) --force
	$(BIN)/cellab ablate gan_loss data.path=$(DEMO) scale=laptop 'seeds=[0]' training.steps=200 gan.steps=150 --name demo

test: install
	$(BIN)/pytest -n 2 --dist loadfile

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
