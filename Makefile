# The one door for commands. `make` or `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help run test check fmt bench frontend

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## run everything on this machine; the dashboard is at http://localhost:8080
	cargo run --locked

test: check frontend ## everything: format, lints, all tests
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked
	cargo nextest run --workspace --features birdsong/aws --locked

check: ## format and lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features birdsong/aws --locked -- -D warnings

frontend: ## unit tests of the dashboard
	cd frontend && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; }
	cd frontend && npm test

bench: ## speed of the hot paths, and of a whole replay in memory
	cargo bench --workspace --locked
	cargo run --release --locked --example corpus -p birdsong-sources -- 1000000 > target/corpus.ndjson
	cargo run --release --locked -- replay --memory --everything all target/corpus.ndjson | tail -3

fmt: ## format the code
	cargo fmt --all
