# pfs: `make demo` shows it at work, `make test` runs every promise. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
DESTDIR ?=
FILE ?=

# What is linked against, and what the tests run (mkfs.ext4, mount, mandoc).
PACKAGES := liblmdb-dev zlib1g-dev libisal-dev libdeflate-dev libzstd-dev liblz4-dev libyaml-dev libedit-dev \
	pkg-config e2fsprogs mount mandoc
# What some tests need that are skipped without.
TOOLS := groff-base man-db zsh fish lintian dpkg-dev binutils
RELEASE := swift build --configuration release --static-swift-stdlib \
	--explicit-target-dependency-import-check error --disable-local-rpath
RELEASE_DIRECTORY := .build/release
SOURCES := Package.swift Sources Tests Fuzz/Targets Examples
# A crash that a test expects must not wait for a backtrace.
TEST := SWIFT_BACKTRACE=enable=no PFS_BINARY=$(CURDIR)/$(RELEASE_DIRECTORY)/pfs \
	PFS_BENCH_BINARY=$(CURDIR)/$(RELEASE_DIRECTORY)/pfs-bench .ci/test swift test

.PHONY: help deps build demo test test-unit test-thread test-address torture-push torture fuzz mutants check format \
	bench install uninstall deb tools example-package clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

deps: ## Install the Debian packages that are missing (as root or with sudo)
	@.ci/install-packages $(PACKAGES)

build: deps ## Build the commands, the Swift runtime inside
	$(RELEASE) --product pfs
	$(RELEASE) --product pfs-bench
	$(RELEASE) --product FaultInjection

demo: build ## Store a file, list, restore, compare and delete it: make demo FILE=path takes yours
	@.ci/demo $(RELEASE_DIRECTORY)/pfs "$(FILE)"

test: check test-unit torture-push test-thread test-address ## The whole suite

test-unit: build ## The suite without sanitizers, through the release binary
	$(TEST)

# The sanitizers watch where threads share memory and where bytes are decoded; all else has run above. A test that jumps out
# of a fault is not for the thread sanitizer, which loses its way there.
test-thread: deps ## Threads under the thread sanitizer
	PFS_ONLY=StorageIOTests,LMDBTests,SegmentStoreTests,StagingFSTests \
	TSAN_OPTIONS="suppressions=$(CURDIR)/.ci/thread-sanitizer.supp halt_on_error=1" SWIFT_BACKTRACE=enable=no \
	.ci/test swift test --sanitize=thread --scratch-path .build/thread --filter \
	'^(StorageIOTests|LMDBTests\.ConcurrencyTests|SegmentStoreTests\.(StoreConcurrencyTests|IndexGroupTests|PutGroupTests|WorkerPoolTests|CompactionTests/threads)|StagingFSTests\.(StagingLockTests|StagingTransferTests|AsyncStagingTests))'

# Without the tests that measure the heap, which is not the program's own here.
test-address: deps ## Decoders under the address sanitizer
	PFS_ONLY=StorageIOTests,CodecsTests,YAMLTests,SegmentStoreTests ASAN_OPTIONS="detect_leaks=0" SWIFT_BACKTRACE=enable=no \
	.ci/test swift test --sanitize=address --scratch-path .build/address --skip StateByteCountTests --filter \
	'^(StorageIOTests|CodecsTests|YAMLTests|SegmentStoreTests\.(FormatTests|HostileManifestTests|RoundTripTests))'

FUZZ_SECONDS ?= 60
fuzz: deps ## Decoders under a coverage-guided fuzzer: make fuzz FUZZ_SECONDS=1800
	Fuzz/run $(FUZZ_SECONDS)

# A build of its own: nothing of the defects is in any other. As root, since full disks are real ones.
torture-push: build ## Every layer of torture for half a minute
	Benchmarks/run-torture push

torture: build fuzz mutants ## The torture that a release passes: some four hours
	Benchmarks/run-torture release

MUTANTS := swift build --configuration release --static-swift-stdlib --scratch-path .build/mutants -Xswiftc -DPFS_MUTANTS
mutants: deps ## Seed one defect after another, each of which the torture must see
	$(MUTANTS) --product pfs
	$(MUTANTS) --product pfs-bench
	$(MUTANTS) --product FaultInjection
	.build/mutants/release/pfs-bench torture mutants --budget 2h

check: ## Formatting, layers and size of files
	swift format lint --strict --recursive $(SOURCES)
	@.ci/check-layers

format: ## Bring all sources into the one form
	swift format --in-place --recursive $(SOURCES)

bench: build ## Throughput against memory limits, beside the bare work
	Benchmarks/run-sweep

# `make -o build install` installs what was built before.
install: build ## Install commands, manual pages, completions and documents below PREFIX (/usr/local)
	@Packaging/install "$(RELEASE_DIRECTORY)" "$(DESTDIR)$(PREFIX)"

uninstall: ## Remove them again
	@Packaging/install --remove "$(DESTDIR)$(PREFIX)"

DEB_DIRECTORY ?= .build
deb: build ## Make a Debian package, .build/pfs_VERSION_ARCHITECTURE.deb
	@Packaging/make-deb "$(RELEASE_DIRECTORY)" "$(DEB_DIRECTORY)"

tools: ## Install what some tests need, which are skipped without: man, zsh, fish, lintian
	@.ci/install-packages $(TOOLS)

# Some minutes: the library is built once more, as another package builds it.
example-package: deps ## Build and run a package outside the tree that uses the library
	@Packaging/check-example-package .build/example-package

clean: ## Remove all that was built
	rm -rf .build
