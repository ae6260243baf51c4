# make run, make test: both set everything up first.
# ACCEL=cpu|cuda|tpu overrides what is found.
PYTHON ?= python3
VENV ?= .venv
ACCEL ?= $(shell if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then echo cuda; \
	elif ls /dev/accel* >/dev/null 2>&1; then echo tpu; else echo cpu; fi)
REQUIREMENTS = $(if $(filter cpu,$(ACCEL)),requirements_cpu.txt,requirements.txt)
JAX_EXTRA = $(if $(filter cuda,$(ACCEL)),jax[cuda12],$(if $(filter tpu,$(ACCEL)),jax[tpu],))
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A file's tests share what they compile. In the order of their names: the files with
# the fewest tests are not the fastest.
PARALLEL = -n 2 --dist loadfile --no-loadscope-reorder
PYTEST = XLA_FLAGS="$$XLA_FLAGS $$($(BIN)/python tests/compile_flags.py)" \
	$(BIN)/python -m pytest
STAMP = $(VENV)/.installed-$(ACCEL)

.PHONY: setup run test test-long test-scripts test-extras test-families test-browser test-full lint docs

setup: $(STAMP)

$(STAMP): $(REQUIREMENTS) requirements_cpu.txt requirements_dev.txt
	@case "$(ACCEL)" in cpu|cuda|tpu) ;; *) echo "ACCEL is '$(ACCEL)', use cpu, cuda or tpu" >&2; exit 2 ;; esac
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r $(REQUIREMENTS) -r requirements_dev.txt $(JAX_EXTRA)
	@rm -f $(VENV)/.installed-* && touch $@

run: setup
	$(BIN)/python main.py -c configs/ant_small.yaml -exist overwrite

test: setup lint
	$(PYTEST) -m "not long and not scripts and not gpytorch and not package and not gymnax and not playground and not browser and not onnx" $(PARALLEL)

# What is too long for `make test`. A worker that has nothing left takes half of what
# the other has: few tests are long, and their files unequal.
test-long: setup
	$(PYTEST) -m long -n 2 --dist worksteal

# The quick form of every study and benchmark.
test-scripts: setup
	$(PYTEST) -m scripts -n 2 --dist worksteal

# What needs more than the requirements: a wheel in an empty environment, GPyTorch, ONNX.
test-extras: setup
	$(PIP) "torch==2.13.0" gpytorch --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu
	$(PIP) "onnx>=1.17" onnxruntime
	$(BIN)/python -m pytest -m "gpytorch or package or onnx" $(PARALLEL)

# Environments of gymnax and of MuJoCo Playground, in a virtual environment of their own.
FAMILIES = $(VENV)-families
test-families:
	$(MAKE) setup VENV=$(FAMILIES)
	$(FAMILIES)/bin/python -m pip install --quiet "gymnax>=1.0.1,<2" "six>=1.16" "playground>=0.2,<0.3"
	XLA_FLAGS="$$XLA_FLAGS $$($(FAMILIES)/bin/python tests/compile_flags.py)" \
		$(FAMILIES)/bin/python -m pytest -m "gymnax or playground" -n 2 --dist worksteal

# Pages in Chromium, which is not Python's: `apt-get install chromium`.
test-browser: setup
	$(PYTEST) -m browser

test-full: setup lint
	$(BIN)/python -m pytest -m "not gpytorch and not package and not gymnax and not playground and not browser and not onnx" $(PARALLEL)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/pyrefly check

docs: setup
	$(PIP) -r requirements_docs.txt
	$(BIN)/mkdocs build --strict --site-dir site
