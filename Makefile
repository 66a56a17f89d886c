# make book [PROFILE=smoke|study|paper]   run the notebooks and build the pages
# make test                                            lint and test
# make clean                                           remove the environment and the pages; keeps the run records in .ditune
# PYTHON=python3.12 chooses the interpreter of the environment.
PYTHON ?= python3
PROFILE ?= study

VENV := .venv
BIN := $(VENV)/bin
# One stamp an interpreter: another PYTHON, or a change of pyproject.toml, installs again; a change of sources does not.
STAMP := $(VENV)/installed-$(subst /,_,$(PYTHON))

# Compiled modules make `import torch` seconds faster; one thread a process, since runs go side by side.
export PYTHONDONTWRITEBYTECODE =
export OMP_NUM_THREADS = 1
export MKL_NUM_THREADS = 1

.PHONY: book test env env-test clean
.DELETE_ON_ERROR:

book: env
	$(BIN)/ditune run --profile $(PROFILE)
	$(BIN)/ditune book

test: env-test
	$(BIN)/ruff check .
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

env: $(STAMP)
env-test: $(STAMP)-test

$(STAMP): pyproject.toml
	@$(call venv)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(STAMP)-test: pyproject.toml
	@$(call venv)
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	@touch $(STAMP) $@

# The environment is made anew where it is missing or was made by another version of Python.
define venv
fail() { echo "$$1" >&2; exit 1; }; \
command -v "$(PYTHON)" >/dev/null || fail "$(PYTHON) is not installed; install Python 3.10 or later, or name one: make PYTHON=python3.12"; \
version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail "$(PYTHON) does not start"; \
case "$$version" in 2.*|3.[0-9]) fail "$(PYTHON) is Python $$version; 3.10 or later is needed: make PYTHON=python3.12";; esac; \
"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || fail "$(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv"; \
[ "$$($(BIN)/python -c 'import pip, sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$$version" ] || \
	{ echo "Making $(VENV) with $(PYTHON); installing takes about 3 minutes and 2 GB"; "$(PYTHON)" -m venv --clear $(VENV); }
endef

clean:
	rm -rf $(VENV) _build book/notebooks .pytest_cache .ruff_cache .hypothesis *.egg-info build
