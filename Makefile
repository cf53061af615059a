PYTHON ?= python3
VENV := .venv
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BIN := $(VENV)/bin
SYSTEM ?= lumierenet

.PHONY: demo paper ablation given bench torch torture test test-slow test-all check lock env clean

demo: env  ## the main job on the drawn lecturer: dataset, training, video, report; of faces: SYSTEM=temporal_gan
	$(BIN)/python -m lumiere_jax.commands.demo $(SYSTEM)

EXPERIMENTS = $(BIN)/python experiments.py --system=$(SYSTEM) --data=$(DATA) --out=$(OUT) $(if $(VGG),--config.vgg=$(VGG)) \
	$(if $(TRIPLETS),--triplets=$(TRIPLETS)) $(if $(SCALE),--scale=$(SCALE)) $(if $(PLAIN),--plain=$(PLAIN))

paper: given env  ## the paper's experiments with lecture: make paper DATA=data/ada OUT=runs/paper
	$(EXPERIMENTS) --which=paper

ablation: given env  ## lecture without each of its parts: make ablation DATA=data/ada OUT=runs/ablation; of faces: SYSTEM=temporal_gan
	$(EXPERIMENTS) --which=ablation $(if $(STEPS),--steps=$(STEPS))

given:
	@test -n "$(DATA)" -a -n "$(OUT)" || \
		{ echo "error: name a dataset and a folder: make $(MAKECMDGOALS) DATA=data/ada OUT=runs/$(MAKECMDGOALS)"; exit 2; }

bench: torch  ## speed and memory beside PyTorch's, the input's speed, and the time to a first step
	$(BIN)/python benchmarks/compare.py
	$(BIN)/python benchmarks/input.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/table.py
	$(BIN)/python benchmarks/projection.py

# Without a GPU, PyTorch's own build for processors: PyPI's brings gigabytes of CUDA.
WHEELS := https://download.pytorch.org/whl/cpu
TORCH = $(if $(shell command -v nvidia-smi),,--extra-index-url=$(WHEELS)) torch==2.13.0

torch: env  ## PyTorch, which the benchmarks and their tests are compared with
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --retries=1 $(TORCH)

torture: env  ## kills, full disks, hostile input, soaks and marks, counted: about 35 minutes
	$(BIN)/python tests/torture/run.py

TESTS = $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

test: env  ## the quick tests, on all cores
	$(TESTS) -m "not slow"

test-slow: env  ## the slow tests: whole commands, trainings, kills
	$(TESTS) -m slow

test-all: env  ## all tests
	$(TESTS)

check: env  ## format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Each file forks by Python: the newest releases for 3.11, and the newest for later ones.
LOCK = $(BIN)/uv pip compile --quiet --universal --upgrade --python-version=3.11 --no-annotate --no-header
BEAM := requirements-beam.txt

lock: env  ## the newest versions that go together, into the requirements*.txt
	$(LOCK) pyproject.toml --output-file=requirements.txt
	$(LOCK) --group=dev --constraints=requirements.txt --output-file=requirements-dev.txt
	{ sed '/^[^#]/,$$d' $(BEAM); echo apache-beam | $(LOCK) pyproject.toml - | grep -vxFf requirements.txt; } > $(BEAM).new
	mv $(BEAM).new $(BEAM)

env: $(VENV)/.complete-$(VERSION)

# Another Python makes the environment anew.
$(VENV)/.complete-$(VERSION): requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "error: Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.13"; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt -r requirements-dev.txt
	touch $@

clean:  ## removes the environment, what tests compiled, and the demos
	rm -rf $(VENV) .cache runs/demo runs/demo_temporal_gan
