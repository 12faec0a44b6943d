# make demo · make test · make lint · make bench
# Everything is installed into .venv; PYTHON chooses the interpreter that makes it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
BASE := $(VENV)/.base
DEV := $(VENV)/.dev
PACKAGES := integrations/langchain-ctxzip integrations/llama-index-postprocessor-ctxzip

.PHONY: demo test lint bench bench-published bench-peers bench-serving bench-code bench-index bench-mini bench-nodes weights evaluate picture format clean

demo: $(BASE)
	$(BIN)/python examples/demo.py

test: $(DEV)
	$(BIN)/python -m pytest
	@for package in $(PACKAGES); do \
	  echo "== $$package"; (cd $$package && ../../$(BIN)/python -m pytest -q) || exit 1; \
	done

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@for package in $(PACKAGES); do (cd $$package && ../../$(BIN)/mypy) || exit 1; done

bench: $(DEV)
	$(BIN)/python -m tests.benchmarks.lexical

# Slower ones: beside llmlingua, and the pipeline nodes.
bench-published: $(DEV)
	$(BIN)/python -m tests.benchmarks.published

# Each peer gets an environment of its own under the cache folder; writes the table into tests/benchmarks/README.md.
bench-peers: $(DEV)
	$(BIN)/python -m tests.benchmarks.peers --data $(DATA) --readme

bench-serving: $(DEV)
	$(BIN)/python -m tests.benchmarks.serving

# Source code: finding by words and by mini, one megabyte, one language model (make weights).
bench-code: $(DEV)
	$(BIN)/python -m tests.benchmarks.code
	$(BIN)/python -m tests.benchmarks.code --scorer mini
	$(BIN)/python -m tests.benchmarks.code --speed

# Small models into $CTXZIP_CACHE or ~/.cache/ctxzip; prints the folders.
weights: $(DEV)
	$(BIN)/python -m tests.benchmarks.weights

bench-mini: $(DEV)
	$(BIN)/python -m tests.benchmarks.mini

bench-index: $(DEV)
	$(BIN)/python -m tests.benchmarks.index --data $(DATA)

bench-nodes: $(DEV)
	$(BIN)/python integrations/benchmark.py

# DATA is a folder in the format that ctxzip/evaluate/records.py describes.
DATA ?= ../shared/data
EVALUATED := -c mini,lexical,bm25,lead,random -r 0.3 --against bm25
evaluate: $(DEV)
	$(BIN)/ctxzip eval $(DATA)/hotpotqa_dev.jsonl.xz $(EVALUATED) -o ctxzip-eval/hotpotqa_dev
	$(BIN)/ctxzip eval $(DATA)/qed_dev.jsonl.xz $(EVALUATED) -o ctxzip-eval/qed_dev --among 10 -n 300

# The picture of the README; needs Chromium.
picture: $(DEV)
	$(BIN)/python -m tests.browser.picture

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"

$(BASE): pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	touch $@

# torch first: any other package that asks for it might bring a CUDA build of several gigabytes.
$(DEV): $(BASE) constraints.txt
	$(PIP) -r constraints.txt
	$(PIP) -c constraints.txt --group dev --group training --group parity
	$(PIP) -c constraints.txt --editable ".[code]"
	$(PIP) -c constraints.txt $(foreach package,$(PACKAGES),--editable $(package) --group $(package)/pyproject.toml:test)
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
