# The one door for commands. `make` or `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Debug builds of everything, as the tests have them.
BINARIES = $(or $(CARGO_TARGET_DIR),target)/debug
EMULATOR ?= localstack

.PHONY: help run test check deny fuzz rust contract chaos release-test frontend infra localstack e2e e2e-localstack e2e-ministack \
	local-up local-down fmt bench scripts-test build-functions deploy destroy

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## run everything on this machine; the dashboard is at http://localhost:8080
	cargo run --locked

# One after the other: each of them can use all of a small machine.
test: ## everything: format, lints, all tests, and the whole of it on emulators
	scripts/tools.sh
	$(MAKE) check
	$(MAKE) rust
	$(MAKE) contract
	$(MAKE) frontend
	$(MAKE) scripts-test
	$(MAKE) infra
	$(MAKE) localstack
	$(MAKE) e2e

rust: ## tests of the Rust code
	cargo nextest run --workspace --features birdsong/aws --locked

contract: ## the API against its OpenAPI document: make contract SEED=2 makes other requests
	cargo nextest run --workspace --features birdsong/aws --locked --no-run
	BIRDSONG_BINARIES=$(BINARIES) SEED=$(SEED) scripts/contract.sh

chaos: ## hours of trouble for the live sources, and kills of the real binary: make chaos SEEDS=1000..1100 KILLS=200
	BIRDSONG_SEEDS=$(or $(SEEDS),1000..1020) BIRDSONG_KILLS=$(or $(KILLS),20) \
	BIRDSONG_SEED=$(firstword $(subst ., ,$(or $(SEEDS),1000..1020))) \
		cargo nextest run --workspace --features birdsong/aws --test chaos --locked --no-fail-fast

release-test: ## tests that must hold in the release build, too: a panic in one source never stops another
	cargo nextest run --release --package birdsong --bins --locked a_panic_in_one_source

infra: ## checks of infra/: format, types, tests, checkov
	scripts/infra-check.sh

localstack: ## tests of what runs the emulators
	localstack/test.sh

e2e: e2e-localstack e2e-ministack ## apply, stream, break, reprocess, look, destroy: on both emulators

e2e-localstack e2e-ministack:
	cargo nextest run --workspace --features birdsong/aws --locked --no-run
	cd e2e && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; }
	EMULATOR=$(@:e2e-%=%) BIRDSONG_BINARIES=$(BINARIES) node --test --test-reporter=spec e2e/

local-up: ## all AWS parts on this machine, with the demo's posts; EMULATOR=ministack for the other emulator
	scripts/local.sh up $(EMULATOR)

local-down: ## stop them
	scripts/local.sh down $(EMULATOR)

check: ## format, lint, spelling, documentation (README.md, Checks)
	cargo fmt --all --check
	scripts/lint.sh
	cargo clippy --workspace --all-targets --features birdsong/aws --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --features birdsong/aws --locked

deny: ## advisories, licences, bans and sources of all crates (deny.toml); it fetches the advisories
	scripts/cargo-tool.sh deny --all-features --locked check -D unnecessary-skip -D unmatched-skip
	scripts/cargo-tool.sh deny --manifest-path fuzz/Cargo.toml --locked check -A unnecessary-skip -A unmatched-skip advisories bans sources

fuzz: ## each fuzz target for FUZZ_SECONDS (60); it needs a nightly toolchain
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

frontend: ## unit tests of the dashboard
	cd frontend && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; }
	cd frontend && npm test

scripts-test: ## tests of the deployment's scripts, without an account
	scripts/test_deploy.sh

build-functions: ## the Lambda functions as zips (ARCHITECTURE=arm64 or x86_64)
	scripts/build-functions.sh $(or $(ARCHITECTURE),arm64)

deploy: ## to AWS: make deploy ENV=prod (docs/deploy.md)
	scripts/deploy.sh deploy $(ENV)

destroy: ## all that make deploy made: make destroy ENV=prod
	scripts/deploy.sh destroy $(ENV)

bench: ## speed of the hot paths, of a replay in memory, of the X client, and of the functions' cold starts
	cargo bench --workspace --locked
	cargo run --release --locked --example corpus -p birdsong-sources -- 1000000 > target/corpus.ndjson
	cargo run --release --locked -- replay --memory --everything all target/corpus.ndjson | tail -3
	cargo run --release --locked --example load -p birdsong-streamer -- 1000000
	cargo build --release --locked --package birdsong-aws --bins
	cargo build --release --locked --package birdsong-aws --example hello
	cargo run --release --locked --package birdsong-aws --example cold_start

fmt: ## format the code, and correct what the linters can
	cargo fmt --all
	scripts/lint.sh --fix
