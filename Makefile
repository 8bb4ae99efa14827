# The commands of memos. `make` alone lists them.
#
# One environment and one profile for every step (deploy/decisions/001-one-profile.md): what is built for `make up` is
# what `make test` tests, and nothing is compiled twice.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/memos/target
export MEMOS_TOOLS ?= $(HOME)/.cache/memos/tools
export MEMOS_STAGES := $(CARGO_TARGET_DIR)/stages.txt
export CC := ccache clang
export CXX := ccache clang++

PROFILE := --release --locked
BIN := $(CARGO_TARGET_DIR)/release
DENY := $(MEMOS_TOOLS)/bin/cargo-deny
STAGE := @deploy/stages.sh run

# More flags for the program that `make up` and `make bench` start: make up ARGS="--help"
ARGS ?=

# Which of the worked scenarios runs: support, health, education, assistant or wellbeing.
NAME ?= support

# Conversations with questions, for `make quality`; one file or several.
DATA ?= load-tests/data/quality.json load-tests/data/languages.json

.DEFAULT_GOAL := help
# Cargo takes all processors by itself, and the times of stages that overlap would mean nothing.
.NOTPARALLEL:
.PHONY: help up cluster build fmt lint lint-stages test test-long test-stages scenario bench bench-kafka bench-sealing quality

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

up: build ## install what is missing, build, start memos on http://127.0.0.1:8888 with the sample
	@$(BIN)/memos up --sample $(ARGS)

cluster: build ## memos as separate processes over a Kafka of its own, on http://127.0.0.1:8888, until Ctrl-C
	@deploy/setup.sh test
	@deploy/cluster.sh $(BIN) data-cluster $(ARGS)

build: ## install what is missing and build the memos binary
	@deploy/setup.sh build
	@cargo build $(PROFILE) -p memos

fmt: ## format the code
	@cargo fmt --all

lint: ## everything that is checked without running anything
	@deploy/setup.sh test
	@deploy/stages.sh begin
	@$(MAKE) --no-print-directory lint-stages
	@deploy/stages.sh end

test: ## install what is missing and run every check and test; CI runs exactly this
	@deploy/stages.sh begin
	$(STAGE) setup deploy/setup.sh test
	@$(MAKE) --no-print-directory lint-stages test-stages
	@deploy/stages.sh end

test-long: ## the same with full counts, then on one core within 256 MiB, and a check for aarch64
	@deploy/stages.sh begin
	$(STAGE) setup deploy/setup.sh test
	@MEMOS_TEST_LONG=1 $(MAKE) --no-print-directory lint-stages test-stages
	$(STAGE) edge env MEMOS_TEST_EDGE=1 cargo test $(PROFILE) -p memos --test spine -- --skip cluster
	$(STAGE) aarch64 deploy/cross-check.sh
	@deploy/stages.sh end

scenario: ## a worked scenario against a running memos: make scenario NAME=support ARGS=http://127.0.0.1:8888
	@cargo run --quiet $(PROFILE) -p memos-client --example $(NAME) -- $(ARGS)

bench: build ## open-loop load for a minute against a memos of its own: make bench ARGS="--rate 1000"
	@cargo build $(PROFILE) -p load-tests
	@deploy/bench.sh $(BIN) $(ARGS)

bench-kafka: build ## the same against separate processes over a Kafka of its own
	@deploy/setup.sh test
	@cargo build $(PROFILE) -p load-tests
	@deploy/bench.sh --kafka $(BIN) $(ARGS)

bench-sealing: ## what sealing costs: the same load with and without, in turns: make bench-sealing ARGS=3
	@deploy/bench-sealing.sh $(ARGS)

quality: build ## how well it recalls: make quality DATA=conversations.json ARGS="--report FILE"
	@cargo build $(PROFILE) -p load-tests
	@deploy/quality.sh $(BIN) "$(DATA)" $(ARGS)

lint-stages:
	$(STAGE) fetch cargo fetch --locked
	$(STAGE) format cargo fmt --all --check
	$(STAGE) clippy cargo clippy $(PROFILE) --workspace --all-targets -- -D warnings
	$(STAGE) deny $(DENY) --offline check --allow unused-wrapper bans licenses sources

test-stages:
	$(STAGE) build cargo build $(PROFILE) --workspace
	$(STAGE) tests cargo test $(PROFILE) --workspace
