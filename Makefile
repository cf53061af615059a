PYTHON ?= python3
VENV := .venv
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BIN := $(VENV)/bin
DEMO := runs/demo

.PHONY: demo paper ablation given bench torture test check env clean

demo: env  ## the main job on the drawn lecturer: dataset, training, video, report
	test -f $(DEMO)/data/dataset.json || $(BIN)/python prepare.py --synthetic --out=$(DEMO)/data
	$(BIN)/python train.py --config=configs/lumierenet.py:demo --data=$(DEMO)/data --workdir=$(DEMO)
	$(BIN)/python infer.py --workdir=$(DEMO) --audio=lumiere_jax/inputs/narrations/second.flac --out=$(DEMO)/lecture.mp4
	$(BIN)/python evaluate.py --workdir=$(DEMO) --data=$(DEMO)/data --split=test --out=$(DEMO)/report
	@echo "$(DEMO)/lecture.mp4"
	@echo "$(DEMO)/report/index.html"

EXPERIMENTS = $(BIN)/python experiments.py --data=$(DATA) --out=$(OUT) $(if $(VGG),--config.vgg=$(VGG)) \
	$(if $(TRIPLETS),--triplets=$(TRIPLETS)) $(if $(SCALE),--scale=$(SCALE)) $(if $(PLAIN),--plain=$(PLAIN))

paper: given env  ## the paper's experiments with lecture: make paper DATA=data/ada OUT=runs/paper
	$(EXPERIMENTS)

ablation: given env  ## lecture without each of its parts: make ablation DATA=data/ada OUT=runs/ablation
	$(EXPERIMENTS) --which=ablation

given:
	@test -n "$(DATA)" -a -n "$(OUT)" || \
		{ echo "error: name a dataset and a folder: make $(MAKECMDGOALS) DATA=data/ada OUT=runs/$(MAKECMDGOALS)"; exit 2; }

bench: env  ## speed and memory beside PyTorch's, the input's speed, and the time to a first step
	$(BIN)/uv pip install --quiet --python $(BIN)/python torch==2.13.0
	$(BIN)/python benchmarks/compare.py
	$(BIN)/python benchmarks/input.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/table.py
	$(BIN)/python benchmarks/projection.py

torture: env  ## kills, full disks, hostile input, soaks and marks, counted: 75 minutes
	$(BIN)/python tests/torture/run.py

test: env  ## the tests, on all cores
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

check: env  ## format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

env: $(VENV)/.complete-$(VERSION)

# Another Python makes the environment anew.
$(VENV)/.complete-$(VERSION): requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
		{ echo "error: Python 3.11 or 3.12 is needed: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt -r requirements-dev.txt
	touch $@

clean:  ## removes the environment and the demo
	rm -rf $(VENV) $(DEMO)
