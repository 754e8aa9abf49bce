# The one door for commands. `make` or `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help test check fmt

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

check: ## format and lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

test: check ## everything: format, lints, all tests
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked
	cargo nextest run --workspace --locked

fmt: ## format the code
	cargo fmt --all
