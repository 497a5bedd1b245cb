# The verbs of this project: `make` alone lists them. Each does the set-up that it needs.
# Written for GNU make 3.81 (the one that macOS brings) and newer; what takes more than a line is a script in scripts/.

NB = 00
ENGINE = lora
ARGS =
export PYTHON

BIN = .venv/bin
# JupyterLab refuses to run as root, which is who you are in most containers, unless it is told that this is meant.
ROOT_OPTION = $(shell test "$$(id -u)" = 0 && echo --allow-root)
FIND_PYTHON = python=$$(sh scripts/find_python.sh)

.PHONY: help setup lab run test test-browser conformance check notebooks serve bench constraints clean clean-all

help:
	@echo "Usage: make VERB [ARGS='more options']"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## virtual environment in .venv, packages, base model (minutes the first time, then about a second)
	@$(FIND_PYTHON) && "$$python" scripts/setup.py

lab: setup ## set-up, then JupyterLab opens on notebook 00
	@echo "JupyterLab opens in your browser; Ctrl+C here ends it. If no browser opens, follow a link below."
	@PATH="$(CURDIR)/$(BIN):$$PATH" JUPYTER_PREFER_ENV_PATH=1 $(BIN)/python -m jupyterlab --ServerApp.log_level=WARN \
	  --ServerApp.root_dir="$(CURDIR)" $(ROOT_OPTION) $(ARGS) notebooks/00_start_here.ipynb

run: setup ## set-up, then runs one notebook without a browser: NB=00, or a path (minutes; the page is in build/)
	@$(BIN)/python scripts/run_notebook.py --engine $(ENGINE) $(ARGS) $(NB)

test: setup ## set-up, then every test (about ten minutes)
	@echo "Running every test, notebook 00 with the real engine among them: about ten minutes on two cores."
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-browser: setup ## set-up and Chromium if it is missing, then the widgets in JupyterLab (two minutes; pictures in build/browser/)
	@chromium=$$($(BIN)/python scripts/find_chromium.py) && \
	  CHROMIUM="$$chromium" $(BIN)/python -m pytest tests/browser -m browser $(ARGS)

conformance: setup ## npm's clients, the hosted API's public description, ten minutes of made-up requests (needs Node.js for npm's)
	@$(BIN)/python scripts/conformance.py $(ARGS)

check: setup ## style (ruff) and the tests of the project itself: documents, notebooks' shape, import rule (seconds)
	@$(BIN)/ruff check .
	@$(BIN)/python -m pytest tests/project -m "not notebook" $(ARGS)

notebooks: setup ## runs every notebook with the real engine and writes the outputs into the notebooks (minutes for each)
	@$(BIN)/python scripts/run_notebook.py --in-place --engine $(ENGINE) $(ARGS) all
	@$(BIN)/python scripts/readme_table.py

serve: setup ## the local API in this terminal, on port 8000, until Ctrl+C
	@$(BIN)/python -m local_api --data-dir .local_api --port 8000 $(ARGS)

bench: setup ## the benchmarks (many minutes; nothing else should run meanwhile)
	@$(BIN)/python -m benchmarks $(ARGS)

constraints: setup ## for maintainers: newest versions into .venv, and their list into constraints.txt (minutes)
	@$(BIN)/python scripts/constraints.py

clean: ## removes .venv, build, caches and .local_api with your trained models; says what before (seconds)
	@$(FIND_PYTHON) && "$$python" -B scripts/clean.py

clean-all: ## the same, and the base model in your user cache
	@$(FIND_PYTHON) && "$$python" -B scripts/clean.py --model-cache
