# Every target works from a fresh clone; `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 5000
URI    ?= sqlite:///outputs/mlflow.db
FAST   := -n auto --maxprocesses 4 --dist loadfile \
	-m "not slow and not movielens and not network and not cluster and not server and not browser"

.DEFAULT_GOAL := help
.PHONY: help run report results test coverage lint format generate docs speed ui lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed ## one run: quotient-remainder, 120 buckets, on the embedded data set
	$(BIN)/python -m bench.run strategy=qr num_buckets=120

report: $(VENV)/installed ## page, plots and tables of all runs, in outputs/report
	$(BIN)/python -m bench.report

results: $(VENV)/installed ## RESULTS.md: every method on public data and generated clicks; goes on where it was stopped (PLAN=1: what it would run)
	$(BIN)/python -m benchmarks.results $(if $(PLAN),plan=true)

test: $(VENV)/installed ## the fast tests
	$(BIN)/python -m pytest $(FAST)

coverage: $(VENV)/installed ## the fast tests, and which lines and branches of bench/ they run; a third slower
	$(BIN)/python -m pytest $(FAST) --cov

lint: $(VENV)/installed ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/installed ## writes the files that are made from the code: the table of metrics, the types of layers, docs/reference.md
	$(BIN)/python -m bench.records.docs
	$(BIN)/python -m bench.embeddings.stubs
	$(BIN)/python -m bench.api.reference

docs: $(VENV)/installed ## this documentation as a site, in outputs/site; a broken link ends it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open outputs/site/index.html"

speed: $(VENV)/installed ## the recipe as published against the harness, as ratios within one run; METHODS=all: every method; CLICKS=1: click models; SERVING=1: lookups; SERVING=load: requests to bench.serve
	$(BIN)/python -m $(if $(SERVING),benchmarks.serving$(if $(filter load,$(SERVING)),_load),$(if $(CLICKS),benchmarks.clicks,$(if $(METHODS),benchmarks.methods methods=$(METHODS),benchmarks.speed)))

ui: $(VENV)/installed ## MLflow's pages on http://127.0.0.1:5000 (PORT=, URI=)
	@mkdir -p outputs
	@echo "runs: http://127.0.0.1:$(PORT)/#/experiments?workflowType=machine_learning"
	$(BIN)/mlflow ui --backend-store-uri $(URI) --host 127.0.0.1 --port $(PORT)

lock: $(VENV)/installed ## take newer versions of the dependencies into requirements*.lock
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --upgrade --no-header --output-file requirements.lock
	cp requirements.lock requirements-scaling.lock  # the same versions, as far as the extras admit them
	$(BIN)/uv pip compile pyproject.toml --extra slurm --extra ray --extra server --extra browser --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-header --output-file requirements-scaling.lock
	cp requirements.lock requirements-formats.lock
	$(BIN)/uv pip compile pyproject.toml --extra onnx --extra litert --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-header --output-file requirements-formats.lock
	$(BIN)/python -c 'import tomllib; \
		print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' | \
		$(BIN)/uv pip compile - --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --upgrade --no-header --output-file requirements-docs.lock
	cp requirements.lock requirements-torch.lock
	$(BIN)/uv pip compile pyproject.toml --extra torch --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-header --output-file requirements-torch.lock
	echo pip-audit | $(BIN)/uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --upgrade --output-file .ci/audit.lock

clean: ## remove the environment and caches, keep outputs
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# The marker file comes last, so that an install that broke off is taken up again.
$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else \
		"error: Python %d.%d: TensorFlow needs 3.11 to 3.13; name one with PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
