# `make help` lists what there is. Everything that is installed lands in .venv.
# Plain enough for the make and the shell that macOS ships.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
INSTALL := $(PYTHON) -m pip --disable-pip-version-check --no-input install
# What is formatted and linted.
CODE := bridge tests docs app.py gunicorn.conf.py $(wildcard bench)
# A check that hangs ends here; macOS has no such command and goes without.
BOUND := $(if $(shell command -v timeout),timeout --foreground 75m,)
# uv, as a tool in an environment of its own, chooses versions for every platform at once.
COMPILE := $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-header --no-emit-index-url --no-emit-find-links --upgrade

.PHONY: help demo run test bench chaos fuzz format docs site pictures packages lock clean

help: ## List the targets.
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | \
	while IFS='|' read -r target text; do printf '%-16s %s\n' "$$target" "$$text"; done

demo: $(VENV)/.run ## Watch tickets become remote actions and comments, all simulated on this machine.
	@exec $(PYTHON) -m bridge demo

run: $(VENV)/.run ## Run the real thing, web and worker, with the settings of .env; Ctrl-C ends it.
	@test -f .env || { echo 'There is no .env yet: copy .env.example to .env and fill it in.' >&2; exit 2; }
	@$(PYTHON) -m bridge migrate
	@# When one of the two ends, the other does not serve alone. Both are told to stop, and waited for.
	@trap 'kill $$web $$worker 2>/dev/null; wait $$web $$worker' EXIT; trap 'exit 0' INT TERM; \
	$(BIN)/gunicorn app:app & web=$$!; \
	$(PYTHON) -m bridge worker & worker=$$!; \
	while kill -0 $$web 2>/dev/null && kill -0 $$worker 2>/dev/null; do sleep 1; done; \
	if kill -0 $$web 2>/dev/null; then ended=worker; pid=$$worker; other=$$web; \
	else ended='web process'; pid=$$web; other=$$worker; fi; \
	code=0; wait $$pid || code=$$?; kill $$other 2>/dev/null; wait $$other; \
	echo "The $$ended has ended with exit code $$code; its last lines above say why." >&2; exit 1

test: $(VENV)/.dev packages ## Run every check: format, lint, types, import contracts, tests, site, shipped mappings.
	@echo '── format'; $(BIN)/ruff format --check $(CODE)
	@echo '── lint'; $(BIN)/ruff check $(CODE)
	@echo '── types'; $(BOUND) $(BIN)/mypy
	@echo '── import contracts'; $(BOUND) $(BIN)/lint-imports --no-logo
	@echo '── tests'; $(BOUND) $(PYTHON) -m pytest -n 2 --dist worksteal --cov --cov-branch --cov-report=term-missing
	@echo '── site'; $(MAKE) --no-print-directory site
	@echo '── shipped mappings'; set -a; source .ci/check.env; $(BOUND) $(PYTHON) -m bridge check

bench: $(VENV)/.dev $(VENV)/.deployed ## Measure speed against a version that keeps nothing, idling, and growth.
	@$(PYTHON) -m bench.end_to_end --tls --late-ms 50 --node-red
	@$(PYTHON) -m bench.accepting
	@$(PYTHON) -m bench.in_flight
	@$(PYTHON) -m bench.idle --python $(VENV)/deployed/bin/python
	@$(PYTHON) -m bench.growth
	@$(PYTHON) -m bench.loading
	@$(PYTHON) -m bench.console

chaos: $(VENV)/.dev ## Break a running bridge in every way, and ask whether its promises held.
	@$(BOUND) $(PYTHON) -m bench.chaos --seconds 12 --rate 2

fuzz: $(VENV)/.fuzz ## Put bytes into everything that reads what others wrote, a minute for each target.
	@$(BOUND) $(PYTHON) -m bench.fuzz --seconds 60

format: $(VENV)/.dev ## Put the code in its form, and mend what can be mended.
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format $(CODE)

docs: $(VENV)/.run ## Write the pages anew that are made: settings, .env.example, mapping keys, endpoints, scripts.
	@$(PYTHON) -m bridge.settings docs/settings.md .env.example
	@$(PYTHON) -c 'from bridge.mapping import reference; print(reference.markdown(), end="")' > docs/mapping-reference.md
	@$(PYTHON) docs/endpoints.py
	@$(PYTHON) docs/kit_scripts.py

site: $(VENV)/.docs ## Make a site of docs/ in site/, to be read from the disk or served by anything; a warning ends it.
	@rm -rf site
	@$(BOUND) $(VENV)/docs/bin/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env \
	  --doctree-dir $(VENV)/docs/doctrees docs site
	@echo 'Open site/index.html.'

pictures: $(VENV)/.dev packages ## Take the pictures of README and docs anew, of a running console.
	@$(BOUND) $(PYTHON) docs/pictures.py

packages: ## Install Debian's chromium and nginx for the tests that need them, where that is possible.
	@wanted=; command -v chromium >/dev/null || wanted=chromium; \
	PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || wanted="$$wanted nginx-light"; \
	if [ -z "$$wanted" ]; then :; \
	elif [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Without $$wanted, which only root on Debian can install here, some tests are skipped." >&2; \
	else \
	  echo "Installing $$wanted (a few minutes) …"; \
	  { $(BOUND) apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive $(BOUND) apt-get install -y -qq --no-install-recommends $$wanted >/dev/null; } || \
	  echo "$$wanted could not be installed: some tests are skipped." >&2; \
	fi

lock: $(PYTHON) ## Choose versions anew within the ranges of pyproject.toml, and write the locks.
	@test -x $(VENV)/lock/bin/uv || { $(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv; }
	@$(COMPILE) pyproject.toml --output-file requirements.txt
	@$(COMPILE) pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt
	@$(COMPILE) --group build --constraint requirements-dev.txt --output-file requirements-build.txt
	@$(COMPILE) --group fuzz --constraint requirements-dev.txt --output-file requirements-fuzz.txt
	@$(COMPILE) --group docs --constraint requirements-dev.txt --output-file requirements-docs.txt
	@git --no-pager diff --stat -- 'requirements*.txt' || true

clean: ## Remove what was installed and what tools cached; the ledger in data/ stays.
	@rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*

# A stamp is newer than its locks when what is installed is what they say, so a second run starts at once.
# The checks' lock holds everything that the bridge itself needs.
$(VENV)/.run: requirements.txt requirements-build.txt pyproject.toml | $(PYTHON)
	@if [ ! -f $(VENV)/.dev ] || [ -n "$$(find requirements*.txt -newer $(VENV)/.dev)" ]; then \
	  echo 'Installing what the bridge needs (a minute, once) …'; \
	  $(INSTALL) --require-hashes -r requirements.txt -r requirements-build.txt | grep --line-buffered -oE "^Collecting [^ ]+"; \
	  test $${PIPESTATUS[0]} -eq 0; \
	fi
	@$(INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements-build.txt pyproject.toml | $(PYTHON)
	@echo 'Installing what the bridge and its checks need (two minutes, once) …'
	@$(INSTALL) --require-hashes -r requirements-dev.txt -r requirements-build.txt | grep --line-buffered -oE "^Collecting [^ ]+"; \
	test $${PIPESTATUS[0]} -eq 0
	@$(INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# What the checks install besides would be loaded too, where the bridge's own libraries look for it.
$(VENV)/.deployed: requirements.txt | $(PYTHON)
	@test -x $(VENV)/deployed/bin/python || $(PYTHON) -m venv $(VENV)/deployed
	@$(VENV)/deployed/bin/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.fuzz: requirements-fuzz.txt $(VENV)/.dev
	@$(INSTALL) --quiet --only-binary :all: --require-hashes -r requirements-fuzz.txt || \
	{ echo 'There is no atheris for this machine: fuzz on Linux with Python 3.11 to 3.14.' >&2; exit 1; }
	@touch $@

$(VENV)/.docs: requirements-docs.txt | $(PYTHON)
	@test -x $(VENV)/docs/bin/python || $(PYTHON) -m venv $(VENV)/docs
	@$(VENV)/docs/bin/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes -r requirements-docs.txt
	@touch $@

# Some commands named python3.x only say that they are not installed, so each is asked for its version.
$(PYTHON):
	@for candidate in python3.14 python3.13 python3.12 python3.11 python3; do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	      2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$candidate" --version) …"; \
	    exec "$$candidate" -m venv $(VENV); \
	  fi; \
	done; \
	echo 'No suitable Python: the bridge needs Python 3.11 to 3.14 with its venv module' >&2; \
	echo '(on Debian and Ubuntu: apt-get install python3 python3-venv).' >&2; exit 1
