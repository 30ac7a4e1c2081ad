# Two commands: `make demo` shows what mabe does, `make test` shows that it works.
# Each sets up what it needs in .venv first. Windows users: see README.md.
PYTHON ?= python3
BIN := .venv/bin
DEMO_READY := .venv/ready-demo
READY := .venv/ready
# uv installs in seconds what takes pip minutes; pip serves where there is no uv.
INSTALL = if command -v uv > /dev/null; \
	then uv pip install --quiet --python $(BIN)/python -c constraints.txt -e "$(1)"; \
	elif $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
	then $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e "$(1)"; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e "$(1)"; fi

.PHONY: demo test lint site setup clean

demo: $(DEMO_READY)
	$(BIN)/mabe simulate demo/data --videos 24 --minutes 2 --seed 1
	$(BIN)/mabe train --config configs/demo.yaml
	$(BIN)/mabe evaluate demo/run demo/data
	$(BIN)/mabe predict demo/run demo/data --out demo/out
	$(BIN)/mabe report demo/run --out demo/report.html
	@echo
	@echo "Next: open demo/report.html in a browser: scores, ethograms, confusion, curves."
	@echo "To see poses and predictions together, and correct them:"
	@echo '    $(BIN)/python -m pip install -e ".[view]"'
	@echo "    $(BIN)/mabe view demo/run demo/data"

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

site: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir site

setup: $(READY)

$(BIN)/python:
	$(PYTHON) -m venv .venv

# torch goes first, by pip and by its pinned version, which is what the tests are for.
$(DEMO_READY): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(call INSTALL,.)
	touch $(DEMO_READY)

$(READY): $(DEMO_READY)
	$(call INSTALL,.[dev])
	touch $(READY)

clean:
	rm -rf .venv demo
