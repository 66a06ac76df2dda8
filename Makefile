# Everything a developer types. `make help` lists it.
SHELL := /bin/sh
PYTHON := .venv/bin/python
CODE := nips relay_local signer bot agent_image config bench tests
ENGINE := .engine
ARGS ?=
ONLY ?=
MAKEFLAGS += --no-print-directory
.PHONY: help install test demo bench ordeal lint lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

# Whichever Python starts is good enough for the bootstrap, which chooses the right one itself.
install:  ## make .venv from the lock (instant when it is current)
	@for python in python3 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1; then \
	    exec $$python -B -m bot.operate.bootstrap; \
	  fi; \
	done; \
	echo 'nostrclaw needs Python 3.11 or newer, and no python3 runs here. Install one (Debian:' \
	  'sudo apt-get install python3 python3-venv), then run make install again.' >&2; \
	exit 1

# Tests without containers wait for processes as much as they compute, so there are more at once than
# cores; a file's tests stay together. Those with containers measure times, and run one by one.
UNCONTAINED := tests/unit tests/signal $(wildcard tests/test_*.py)
SHARED := -n 4 --dist=loadfile $(UNCONTAINED)
test: install  ## install, then every test (ARGS="-k name" for some)
ifneq ($(filter tests/%,$(ARGS)),)
	@exec $(PYTHON) -m pytest $(ARGS)
else
	@$(PYTHON) -m pytest $(SHARED) $(ARGS); unit=$$?; \
	  test $$unit -eq 2 && exit 2; \
	  $(PYTHON) -m pytest $(UNCONTAINED:%=--ignore=%) $(ARGS); rest=$$?; \
	  case "$$unit $$rest" in '0 0'|'0 5'|'5 0') ;; *) exit 1;; esac
endif

demo: install  ## a conversation, start to end, on this machine
	@exec .venv/bin/nostrclaw demo $(ARGS)

bench: install  ## measure, into bench/results (ARGS=relay for the relay)
	@exec $(PYTHON) -m bench $(ARGS)

ordeal: install  ## one promise at its full figure (ONLY=name)
	@exec $(PYTHON) -m bench.ordeal $(if $(ONLY),--only "$(ONLY)",) $(ARGS)

lint: install  ## ruff and mypy, as strict as they go
	@$(PYTHON) -m ruff check $(CODE)
	@$(PYTHON) -m ruff format --check $(CODE)
	@$(PYTHON) -m mypy $(CODE)

# No lock names an index. The project's holds for every supported Python and machine; the image's
# for Linux, and without markers, since the host's pip would read them for the host.
LOCK := .venv-lock/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header
lock:  ## resolve the dependencies anew (ARGS=--upgrade for the newest)
	@test -x .venv-lock/bin/uv || python3 -m venv .venv-lock
	@.venv-lock/bin/python -m pip install --quiet 'uv>=0.5'
	@$(LOCK) $(ARGS) --universal --group dev pyproject.toml --output-file requirements.lock
	@$(LOCK) $(ARGS) --python-platform x86_64-manylinux_2_28 agent_image/requirements.in \
	  --output-file agent_image/requirements.lock

clean:  ## remove what was made here: environment, private engine and its images, caches
	@if test -d $(ENGINE) && test -x $(PYTHON); then \
	  $(PYTHON) -m bot.engine stop $(ENGINE) >/dev/null 2>&1; fi
	@rm -rf $(ENGINE) .venv .venv-lock .venv-install.log .venv-install.lock build dist *.egg-info \
	  .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@rm -rf tests/interop/node/node_modules
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
