# make demo        a platform on three hosts of this machine (Debian 12, root)     make demo-down   takes it away
# make test        everything: format, lints, tests, end-to-end tests on real hosts
# make test-all    the same with every topology (one server, relays, farms, external databases) and updates under load (longer)
# make dist        the binary that is shipped: static, optimised
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)

SCRIPTS := tests/fleet/lib.sh tests/fleet/prepare tests/fleet/fleet tests/fleet/image tests/fleet/vm/run $(addprefix tests/fleet/rocky/,build repository host.sh packages.sh) \
  examples/demo/demo examples/demo/registry examples/demo/elsewhere examples/demo/images/build examples/demo/images/slim examples/demo/images/versions \
  .ci/run tests/oracle/install tests/oracle/run fuzz/run benches/prepare benches/platform benches/peers/serving.sh tests/adopt/pki tests/adopt/deploy $(wildcard examples/demo/images/*/entrypoint examples/demo/images/*/healthcheck)
E2E := $(wildcard tests/e2e.rs tests/e2e/main.rs)
NEXTEST := $(shell PATH="$(PATH)" command -v cargo-nextest)
MUSL := x86_64-unknown-linux-musl

.PHONY: oracle build demo demo-down test test-all test-faults test-vm e2e lint dist clean-cache

build:
	cargo build --workspace

demo:
	@examples/demo/demo up

demo-down:
	@examples/demo/demo down

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v shellcheck >/dev/null; then echo shellcheck -x; shellcheck -x $(SCRIPTS); \
	else echo "SKIPPED: shellcheck is not installed (apt-get install shellcheck)"; fi

# Last, so that the summary of the tests is what stands at the end.
test: lint
ifneq ($(NEXTEST),)
	cargo nextest run --workspace $(if $(E2E),-E 'not binary(=e2e)') --no-tests pass
else
	cargo test --workspace $(if $(E2E),-- --skip story --skip topology_)
endif
ifneq ($(E2E),)
	$(MAKE) e2e
endif

# Ansible itself is asked (tests/oracle): the written cases again, and new generated inventories.
oracle:
	tests/oracle/run

# Every fault there is, one by one: at every point of the journal what `make test` tries at every few, and on real hosts.
test-faults:
	tests/fleet/prepare
	cargo build --workspace
ifneq ($(NEXTEST),)
	REEMO_FAULTS=all cargo nextest run -p reemo-infra --test killed --no-fail-fast
	cargo nextest run --test e2e --run-ignored all --no-capture -E 'test(=faults)'
else
	REEMO_FAULTS=all cargo test -p reemo-infra --test killed
	cargo test --test e2e -- --include-ignored --nocapture --exact faults
endif

# What needs a kernel, a clock and a plug of its own: one emulated machine (QEMU without KVM), about ten times slower.
test-vm:
	tests/fleet/prepare
	cargo build --workspace
ifneq ($(NEXTEST),)
	cargo nextest run --test e2e --run-ignored all --no-capture -E 'test(=machine_of_its_own)'
else
	cargo test --test e2e -- --include-ignored --nocapture --exact machine_of_its_own
endif

# Real hosts: they need the engine, the tool and the services of the demo.
e2e:
	tests/fleet/prepare
	cargo build --workspace
ifneq ($(NEXTEST),)
	cargo nextest run --test e2e --no-fail-fast $(if $(ALL),--run-ignored all)
else
	cargo test --test e2e -- --test-threads 1 $(if $(ALL),--include-ignored)
endif

# Everything, and every topology: what is to be run before a change of the platform's shape is called done.
test-all:
	$(MAKE) test ALL=1

dist:
	rustup target list --installed | grep -qx $(MUSL) || rustup target add $(MUSL)
	CC_x86_64_unknown_linux_musl=gcc cargo build --locked --profile dist --target $(MUSL) -p reemo-infra
	@ls -l target/$(MUSL)/dist/reemo-infra && sha256sum target/$(MUSL)/dist/reemo-infra

# What is kept so that a second fleet or demo is quick: the images of hosts and services in Docker's store.
clean-cache:
	docker images --format '{{.Repository}}:{{.Tag}}' | grep -E '^reemo-(fleet|demo)/' | xargs --no-run-if-empty docker rmi --force >/dev/null
