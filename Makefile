# The one door for commands. `make` or `make help` lists them, by what they are for.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Debug builds of everything, as the tests have them.
BINARIES = $(or $(CARGO_TARGET_DIR),target)/debug
RELEASED = $(or $(CARGO_TARGET_DIR),target)/release
EMULATOR ?= localstack
# Folders with a package-lock.json.
PACKAGES = frontend e2e scripts/checks
# Crates that `make mutants` breaks.
MUTATED = domain aggregator digest streamer

.PHONY: help run build fmt lint clippy check docs test packages programs test-build rust frontend docs-test test-browser foreign contract scripts-test infra \
	localstack e2e e2e-localstack e2e-ministack chaos load release-test fuzz trends bench bench-replay deny local-up local-down build-functions deploy rollback destroy clean soak mutants mutants-at-once

help: ## list the commands
	@awk -F':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)

##@ Every day

run: ## run everything on this machine; the dashboard is at http://localhost:8080
	cargo run --locked

build: ## compile everything, with the dashboard, for development
	cargo build --workspace --features birdsong/aws --locked

fmt: ## format the code, and fix what the linters can fix
	cargo fmt --all
	scripts/lint.sh --fix

lint: ## what needs no compiler: formats, spelling, words, links, and lints of all that is not Rust
	cargo fmt --all --check
	scripts/lint.sh

clippy: ## lints of the Rust code
	cargo clippy --workspace --all-targets --features birdsong/aws --locked -- -D warnings

check: lint clippy docs ## all of these: before each commit (CONTRIBUTING.md, Checks)

# With the examples, dependencies have the features that they have in tests and clippy, and are not checked again.
docs: ## the documentation of the Rust code, in target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --lib --bins --examples --features birdsong/aws --locked

clean: ## delete what was built and installed here; data in .birdsong/ stays
	cargo clean
	rm -rf .tools frontend/dist $(PACKAGES:=/node_modules)

##@ Tests

test: ## everything: format, lints, all tests, and the whole system on emulators; several at a time (scripts/stages.py)
	scripts/tools.sh
	scripts/stages.py

packages: $(PACKAGES:=/node_modules/.package-lock.json) ## npm packages of the dashboard and the tests

%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --no-audit --no-fund --prefix $*

# With the examples, dependencies have the features that they have in tests, and are compiled once.
programs: ## compile the programs that the tests run
	$(if $(BUILT),,cargo build --workspace --bins --examples --features birdsong/aws --locked)

test-build: ## compile the tests
	cargo test --no-run --workspace --features birdsong/aws --locked

rust: ## tests of the Rust code, and the examples in its documentation
	cargo nextest run --workspace --features birdsong/aws --locked
	cargo test --doc --workspace --features birdsong/aws --locked

frontend: frontend/node_modules/.package-lock.json ## unit tests of the dashboard
	cd frontend && npm test

test-browser: programs frontend/node_modules/.package-lock.json ## the dashboard in Chromium, over the real binary: make test-browser SPECS="overview axe"
	cd frontend && BIRDSONG=$(abspath $(BINARIES))/birdsong npm run --silent test:browser -- $(SPECS)

contract: programs ## the API against its OpenAPI document: make contract SEED=2 makes other requests
	BIRDSONG_BINARIES=$(BINARIES) SEED=$(SEED) scripts/contract.sh

foreign: programs ## clients of other people at our fake servers, and archive counts held to twarc-csv (e2e/foreign)
	BIRDSONG_BINARIES=$(BINARIES) e2e/foreign/run.sh

docs-test: programs ## run the commands in the documentation
	scripts/test_docs.py --bin $(BINARIES)

scripts-test: ## tests of the scripts, without an account
	python3 -m unittest discover --top-level-directory . --start-directory scripts/tests
	scripts/test_deploy.sh
	scripts/test_runbook.sh

infra: ## checks of infra/: format, types, tests, checkov
	scripts/infra-check.sh

localstack: ## tests of the scripts that run the emulators
	localstack/test.sh

e2e: e2e-localstack e2e-ministack ## apply, stream, break, reprocess, look, destroy: on both emulators

e2e-localstack e2e-ministack: programs e2e/node_modules/.package-lock.json
	EMULATOR=$(@:e2e-%=%) BIRDSONG_BINARIES=$(BINARIES) node --test --test-reporter=spec e2e/

##@ Longer tests

chaos: ## trouble for the live sources, and kills of the real binary: make chaos SEEDS=1000..1100 KILLS=200
	BIRDSONG_SEEDS=$(or $(SEEDS),1000..1020) BIRDSONG_KILLS=$(or $(KILLS),20) \
	BIRDSONG_SEED=$(firstword $(subst ., ,$(or $(SEEDS),1000..1020))) \
		cargo nextest run --workspace --features birdsong/aws --test chaos --test birdsong --locked --no-fail-fast \
		-E 'binary(chaos) + test(/^chaos::/)'

fuzz: ## each fuzz target for FUZZ_SECONDS (60), or for FUZZ_RUNS inputs; TARGETS="read_line" for some of them
	FUZZ_RUNS=$(FUZZ_RUNS) SANITIZER=$(SANITIZER) MERGE=$(MERGE) scripts/fuzz.sh $(or $(FUZZ_SECONDS),60) $(TARGETS)

# One arena: each life of the streamer has new threads, which would leave arenas behind (docs/explanation/long-run.md).
soak: ## a day of trouble in simulated time: make soak HOURS=24 RATE=1000 SEED=1
	mkdir -p target/soak
	MALLOC_ARENA_MAX=1 HOURS=$(or $(HOURS),24) RATE=$(or $(RATE),1000) SEED=$(or $(SEED),1) SOAK_TABLE=$(abspath target/soak/table.csv) \
		cargo test --profile soak --locked --package birdsong-digest --test soak -- --nocapture
	scripts/soak_plot.py target/soak/table.csv target/soak/soak.svg

mutants: ## break the code on purpose, and see that tests notice: make mutants CRATES=domain FILES='functions/domain/src/lane.rs' SHARD=1/8
	scripts/mutants.sh $(foreach crate,$(or $(CRATES),$(MUTATED)),--package birdsong-$(crate)) $(foreach file,$(FILES),--file '$(file)') $(if $(SHARD),--shard $(SHARD))

mutants-at-once: ## the same for all mutants, compiled into one program: make mutants-at-once CRATES=domain FILES=lane.rs TESTS=domain
	scripts/schemata.py $(or $(CRATES),$(MUTATED)) $(foreach file,$(FILES),--files $(file)) $(foreach crate,$(TESTS),--tests-of $(crate)) $(if $(RULES),--rules $(RULES))

load: ## how busy one shard keeps the aggregator, by lanes and batch size, with a store as slow as DynamoDB (docs/scale.md)
	cargo run --release --locked --package birdsong-aws --example lambda_load

release-test: ## tests that must hold in the release build too: a panic in one source never stops another
	cargo nextest run --release --package birdsong-streamer --lib --locked a_panic_in_one_source

# Without NAB's series, only the rest is measured.
trends: ## what the rule for trends reaches, beside others: make trends NAB=../shared/data/nab SEEDS=1..241
	cargo run --release --locked --package birdsong-evaluation -- $(if $(NAB),--nab $(NAB)) $(if $(SEEDS),--seeds $(SEEDS))

deny: ## advisories, licences, bans and sources of all crates (deny.toml); downloads the advisories
	scripts/cargo-tool.sh deny --all-features --locked check -D unnecessary-skip -D unmatched-skip
	scripts/cargo-tool.sh deny --manifest-path fuzz/Cargo.toml --locked check -A unnecessary-skip -A unmatched-skip advisories bans sources

# DuckDB is measured where Python has it: make bench PYTHON=.venv/bin/python; CORPUS=FILE measures other lines.
bench: bench-replay ## speed of the hot paths, of a replay, of the X client, of the functions' cold starts, and of answers to viewers
	cargo bench --workspace --locked
	cargo run --release --locked --example load -p birdsong-streamer -- 1000000
	cargo build --release --locked --package birdsong-aws --bins
	cargo build --release --locked --package birdsong-aws --example hello
	cargo run --release --locked --package birdsong-aws --example cold_start
	scripts/bench-look.sh

bench-replay: ## posts a second into windows, beside DuckDB and json.loads (docs/performance.md)
	cargo build --release --locked --package birdsong --bins
	cargo run --release --locked --example corpus -p birdsong-sources -- 400000 > target/corpus.ndjson
	$(or $(PYTHON),python3) scripts/bench_replay.py $(RELEASED)/birdsong $(or $(CORPUS),target/corpus.ndjson) --rounds $(or $(ROUNDS),5)
	cargo run --release --locked --example stages -p birdsong-streamer -- $(or $(CORPUS),target/corpus.ndjson) regions.toml

##@ AWS

local-up: ## all AWS parts on this machine, with the demo's posts; EMULATOR=ministack for the other emulator
	scripts/local.sh up $(EMULATOR)

local-down: ## stop them
	scripts/local.sh down $(EMULATOR)

build-functions: ## the Lambda functions as zips (ARCHITECTURE=arm64 or x86_64)
	scripts/build-functions.sh $(or $(ARCHITECTURE),arm64)

deploy: ## to AWS: make deploy ENV=prod (docs/deploy.md)
	scripts/deploy.sh deploy $(ENV)

rollback: ## run the release before, on AWS: make rollback ENV=prod; RELEASE=7 runs that one
	scripts/deploy.sh rollback $(ENV)

destroy: ## delete everything that make deploy made: make destroy ENV=prod
	scripts/deploy.sh destroy $(ENV)
