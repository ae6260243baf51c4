# make run, make test: both set everything up first. ACCEL=cpu|cuda|tpu overrides what is found.
PYTHON ?= python3
VENV ?= .venv
ACCEL ?= $(shell if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then echo cuda; \
	elif ls /dev/accel* >/dev/null 2>&1; then echo tpu; else echo cpu; fi)
REQUIREMENTS = $(if $(filter cpu,$(ACCEL)),requirements_cpu.txt,requirements.txt)
JAX_EXTRA = $(if $(filter cuda,$(ACCEL)),jax[cuda12],$(if $(filter tpu,$(ACCEL)),jax[tpu],))
BIN = $(VENV)/bin
PARALLEL = -n 2 --dist loadfile --no-loadscope-reorder  # a file's tests share what they compile
STAMP = $(VENV)/.installed-$(ACCEL)

.PHONY: setup run test test-full lint

setup: $(STAMP)

$(STAMP): $(REQUIREMENTS) requirements_cpu.txt requirements_dev.txt
	@case "$(ACCEL)" in cpu|cuda|tpu) ;; *) echo "ACCEL is '$(ACCEL)', use cpu, cuda or tpu" >&2; exit 2 ;; esac
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS) -r requirements_dev.txt $(JAX_EXTRA)
	@rm -f $(VENV)/.installed-* && touch $@

run: setup
	$(BIN)/python main.py -c configs/ant_small.yaml -exist overwrite

test: setup lint
	$(BIN)/python -m pytest -m "not slow and not long" $(PARALLEL)

test-full: setup lint
	$(BIN)/python -m pytest $(PARALLEL)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
