# Every target sets up what it needs and reuses what is there. `make demo` and `make test` work on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT := out

.PHONY: demo test check bench learn soak fmt clean

demo: $(VENV)/run.stamp  ## three nodes on this machine until each has a champion; goes on where it was stopped
	$(BIN)/ringrift-p2p up --nodes 3 --profile demo --until-champion --minutes 60 --data-dir $(OUT)/demo

test: $(VENV)/dev.stamp  ## static checks and all tests
	$(MAKE) --no-print-directory check
	@sh tests/get_promtool.sh $(BIN)
	$(BIN)/ringrift warmup
	$(BIN)/python -m pytest

check: $(VENV)/dev.stamp  ## formatting, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/run.stamp  ## engine, shards, search, selfplay, training and the node with their bounds, as JSON
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/shards.py
	$(BIN)/ringrift bench search --json
	$(BIN)/ringrift bench selfplay --json
	$(BIN)/ringrift bench train --json
	$(BIN)/python benchmarks/consensus_log.py
	$(BIN)/python -m benchmarks.node_http

learn: $(VENV)/run.stamp  ## from nothing to a champion on hex8_2p, three seeds; may be stopped and goes on
	$(BIN)/ringrift warmup
	$(BIN)/python benchmarks/learn.py --folder $(OUT)/learn

soak: $(VENV)/dev.stamp  ## property tests with far more games, hostile bytes, a node and its clients, the loop killed 50 times, nodes of a cluster that learns 100 times, all voters 20 times, nodes that hang, vanish, are slow or full
	RINGRIFT_TEST_SCALE=25 $(BIN)/python -m pytest tests/property
	$(BIN)/python -c 'from tests.property.hostile_bytes import soak; soak(1_000_000, seed=1)'
	$(BIN)/python -m tests.e2e.node_soak --minutes 20
	RINGRIFT_TEST_SCALE=25 $(BIN)/python -m pytest tests/e2e/test_faulty_nodes.py tests/e2e/test_removed_voter.py
	$(BIN)/ringrift warmup
	rm -rf $(OUT)/killed-loop
	$(BIN)/python -m tests.e2e.loop_killer $(OUT)/killed-loop --kills 50
	rm -rf $(OUT)/killed-cluster
	$(BIN)/python -m tests.e2e.cluster_killer $(OUT)/killed-cluster --kills 100
	rm -rf $(OUT)/peer-lists $(OUT)/stopped-raft
	$(BIN)/python -m tests.e2e.peer_lists $(OUT)/peer-lists
	$(BIN)/python -m tests.e2e.stopped_raft $(OUT)/stopped-raft --minutes 10
	rm -rf $(OUT)/killed-voters
	$(BIN)/python -m tests.e2e.voters_killer $(OUT)/killed-voters --rounds 20 --writes 1000

fmt: $(VENV)/dev.stamp  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the virtual environment and everything that was made
	rm -rf $(VENV) $(OUT) build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "RingRift needs Python 3.11 or newer; say which with: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	    || { echo "Python cannot make virtual environments; on Debian/Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing RingRift into $(VENV)"
	@$(BIN)/python -m pip install --progress-bar on --constraint constraints.txt --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	@echo "installing the test tools into $(VENV)"
	@$(BIN)/python -m pip install --progress-bar on --constraint constraints.txt --editable '.[dev]'
	@touch $@
