# Two commands: `make demo` shows what mabe does, `make test` shows that it works.
# Both set everything up in .venv first. Windows users: see README.md.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test lint setup clean

demo: $(READY)
	$(BIN)/mabe simulate demo/data --videos 24 --minutes 2 --seed 1
	$(BIN)/mabe train --config configs/demo.yaml
	$(BIN)/mabe evaluate demo/run demo/data
	$(BIN)/mabe predict demo/run demo/data --out demo/out
	$(BIN)/mabe report demo/run --out demo/report.html

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(READY)

# torch goes first and by its pinned version, which is what the tests are for.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv demo
