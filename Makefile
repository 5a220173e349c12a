# `make demo` and `make test` need Python 3.10+ and make, nothing else installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Otherwise each of the tests' many processes compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check quick test lint unit bench docs site clean

demo: $(STAMP)  ## search scikit-learn's digits and print the recommendation
	$(BIN)/trainstack launch digits --study demo --trials 40 --epochs 40 --workers 2

check:  ## lint, and the quick tests that start nothing and need no TensorFlow: the inner loop
	$(MAKE) --jobs 2 lint quick

quick: $(STAMP)
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not (keras or process or thorough)" tests/unit tests/contract

test: lint unit  ## every check and test

lint: $(STAMP)  ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

# More processes than cores: half of the tests wait for others. The long files come first.
unit: $(STAMP)
	$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder

bench: $(STAMP)  ## speed, side by side with what a user would use instead
	$(BIN)/python -m benchmarks

docs: $(STAMP)  ## the reference pages, from the tables and the command's registry
	$(BIN)/python -m docs.generate

site: $(STAMP)  ## the documentation as a site; a link that leads nowhere is an error
	$(BIN)/sphinx-build -W --keep-going -n -q -c docs -d build/doctrees . build/site
	@echo build/site/index.html

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
