# make lab    builds and runs the main job: a lab of core, IM Server and two IM Clients, with its scenario
# make test   builds and runs all tests; installs the independent SIP programs that they run against
# make fuzz TARGET=scanner SECONDS=600  gives the parsers hostile input (Tests/Fuzzing); make test does so for some seconds each
# make bench  measures whole processes over loopback, Kamailio too if it is installed, and prints a table (ten minutes)
# make bench-core  measures the core without sockets
# make format rewrites the sources to the checked-in format
#
# A fresh Debian 12 with a Swift 6.3 toolchain is enough: each target installs what it misses, as root or with sudo.

SWIFT   ?= swift
# One configuration for everything: two would compile the dependencies twice.
FLAGS   := -c release -Xswiftc -enable-testing
# Tests of sockets and processes wait for others, within the product's own time limits. They may run in parallel, but a machine
# of two cores that others use as well can keep one waiting past such a limit; one after the other they take 45 s.
WAITING := LabTests|ProcessTests|NodeRuntimeTests|ControlHTTPTests
BINARY  := .build/release/sipcore
SUDO    := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# The fuzz targets, and how long `make test` and `make fuzz` run each.
FUZZED  := scanner uri headers multipart framing
BRIEFLY := 10
TARGET  ?= $(FUZZED)
SECONDS ?= 600

.PHONY: lab test fuzz bench bench-build bench-core build format lint packages peers

lab: build
	$(BINARY) lab topologies/im-settings.yaml --scenarios

build: packages
	$(SWIFT) build $(FLAGS) --product sipcore

test: packages peers lint
	$(SWIFT) build $(FLAGS) --build-tests
	$(SWIFT) test $(FLAGS) --skip-build --skip '$(WAITING)'
	$(SWIFT) test $(FLAGS) --skip-build --no-parallel --filter '$(WAITING)'
	@for target in $(FUZZED); do Tests/Fuzzing/fuzz $$target $(BRIEFLY) || exit 1; done

fuzz:
	@for target in $(TARGET); do Tests/Fuzzing/fuzz $$target $(SECONDS) || exit 1; done

bench: build bench-build
	.build/release/sipcore-bench compare --results .build/bench.jsonl

bench-core: bench-build
	.build/release/sipcore-bench core

bench-build: packages
	$(SWIFT) build $(FLAGS) --product sipcore-bench

lint:
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests

format:
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests

# SQLite's headers are all that the build needs beside the toolchain.
packages:
	@[ -e /usr/include/sqlite3.h ] || { $(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y libsqlite3-dev; }

# Independent programs that the tests speak to, and the one that counts their instructions; a test fails where one is missing.
peers:
	@missing=; for pair in sipp:sip-tester sipsak:sipsak tshark:tshark valgrind:valgrind baresip:baresip-core \
		linphonec:linphone-cli python3:python3-venv openssl:openssl chromium:chromium sngrep:sngrep; do \
		command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; done; \
	[ -z "$$missing" ] || { $(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y $$missing; }
	@[ -x .build/peers/bin/python ] && .build/peers/bin/python -c 'import pjsua2, schemathesis, sippy, websocket' 2>/dev/null || { \
		python3 -m venv .build/peers || { $(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y python3-venv && python3 -m venv .build/peers; }; \
		.build/peers/bin/pip install --quiet --disable-pip-version-check pjsua2-python==2.15.1.post1 sippy==2.5.0 \
			schemathesis==4.32.5 websocket-client==1.9.2; }
