# Everything a person types. `make` alone lists it.
PYTHON ?= python3
SUBMISSION ?= solution
DATASET ?= auto
DEVICE ?= auto
OUT ?= reports
Q ?=
SEED ?=
FRESH ?=
V ?=
CONFIG ?=

BIN := .venv/bin
READY := .venv/.ready
# one thread per library and process: the grader runs one process per core
export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1

.DEFAULT_GOAL := help
.PHONY: help grade check test test-fast lint starter calibrate bench prove attacks results gallery watch contract reference release gradescope clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo
	@echo "  variables: SUBMISSION=path DATASET=auto|digits|mnist DEVICE=auto|cpu|cuda OUT=folder FRESH=1 Q=question SEED=number V=1"

# uv installs in a fraction of pip's time; where it cannot run, pip does the same
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt uv || true
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -r pyproject.toml --extra dev \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

grade: $(READY) ## grade SUBMISSION (the reference solution, say): reports go to OUT; goes on with what is there
	$(BIN)/python -m grader grade "$(SUBMISSION)" --dataset $(DATASET) --device $(DEVICE) --out "$(OUT)" $(if $(FRESH),--fresh) $(if $(SEED),--seed $(SEED)) $(foreach q,$(Q),--question $(q))

check: SUBMISSION = starter
check: $(READY) ## a student's own run: public checks of SUBMISSION (starter), all or Q=8
	@# 1 says that work is left, which the report has told: to make it is no error
	@$(BIN)/python -m grader check "$(SUBMISSION)" $(if $(V),--verbose) $(if $(SEED),--seed $(SEED)) $(foreach q,$(Q),--question $(q)) || [ $$? -eq 1 ]

watch: SUBMISSION = starter
watch: $(READY) ## the same again whenever a file of SUBMISSION (starter) is saved, all or Q=8; Ctrl-C ends it
	@$(BIN)/python -m grader watch "$(SUBMISSION)" $(if $(SEED),--seed $(SEED)) $(foreach q,$(Q),--question $(q)) || [ $$? -eq 130 ]

test: $(READY) ## all tests of the kit itself
	$(BIN)/python -m pytest -n auto --dist worksteal

test-fast: $(READY) ## the tests that take seconds
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

lint: $(READY) ## style and types, and whether starter/ is what solution/ gives
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m grader.author.starter --check

starter: $(READY) ## write starter/ anew from solution/
	$(BIN)/python -m grader.author.starter

contract: $(READY) ## what a question lacks, each with the remedy (docs/how-to/add-a-question.md); Q=11 also runs its bank
	$(BIN)/python -m tests.contract --run $(foreach q,$(Q),-q $(q))

calibrate: $(READY) ## train the reference over several seeds and write the cuts of the trained checks
	$(BIN)/python -m grader.author.calibrate --dataset $(DATASET) --device $(DEVICE)

bench: $(READY) ## our speed, as ratios within one run, and the trained checks in seconds; writes docs/bench.json and the figures of docs/scale.md
	$(BIN)/python -m grader.author.bench --device $(DEVICE)
	$(BIN)/python -m tests.boundary_cost
	$(BIN)/python -m tests.watch_cost
	$(BIN)/python -m tests.page_sizes
	$(BIN)/python -m tests.box_cost
	$(BIN)/python -m tests.class_cost
	$(BIN)/python -m grader.author.scale

prove: $(READY) ## show that the grader is right (half an hour, goes on where it stopped; THOROUGH=1, TRAINING=1: more of it); writes docs/proof.md
	$(BIN)/python -m tests.prove $(if $(THOROUGH),--thorough) $(if $(TRAINING),--training)

attacks: $(READY) ## the attack bank on every box of this machine (ten minutes and more); writes its table in docs/security.md
	$(BIN)/python -m tests.attacks

release: $(READY) ## the kit for students, dist/a7-student.zip: without the solution, the bank and hidden checks
	$(BIN)/python -m grader.author.release

gradescope: $(READY) ## the autograder for Gradescope, dist/autograder.zip
	$(BIN)/python -m grader.author.autograder $(if $(CONFIG),--config "$(CONFIG)")

results: $(READY) ## docs/results.md from the committed figures
	$(BIN)/python -m grader.author.results

gallery: $(READY) ## the handout's pictures: trains the reference and mistakes of the bank on digits
	$(BIN)/python -m tests.gallery

reference: $(READY) ## docs/reference from the command line and the schema of report.json
	$(BIN)/python -m grader.author.reference

clean: ## remove the environment and what runs have left
	rm -rf .venv reports runs .pytest_cache .mypy_cache .ruff_cache
