# The few commands people type; each installs what it lacks. `make test PRESET=debug` takes another preset of CMakePresets.json.
PRESET ?= release
BUILD := build/$(PRESET)
VENV := .venv
LINK_MODULE = ln -sfr $(BUILD)/sdk-python/_core.*.so sdk-python/workflows/
PYTHON := $(VENV)/bin/python
# The interpreter the venv is made of: the system's, whose headers `make deps` installs, wherever it is new enough.
BASE_PYTHON = $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo python3)
CPP_FILES = $(shell find engine examples include sdk-python storage tests -name '*.h' -o -name '*.cpp')

.PHONY: build demo test bench bench-report crash faults fuzz simulate soak asan tsan format check check-format check-cpp check-python check-style tidy deps deps-build deps-check clean

build: $(BUILD)/build.ninja
	cmake --build $(BUILD)
	$(LINK_MODULE)

# Builds the Python module only: the tests are most of the rest.
demo: $(BUILD)/build.ninja
	cmake --build $(BUILD) --target _core
	$(LINK_MODULE)
	$(PYTHON) examples/python/demo.py

test: build
	$(PYTHON) tests/run.py $(BUILD)

# What takes too long for every run: benchmarks (`make bench ONLY=P3` for one target), thousands of kills, the C++ tests under sanitizers.
bench: build
	$(PYTHON) tests/bench/run.py $(BUILD) $(if $(ONLY),--only $(ONLY))

# The same in full sizes, with more rounds: about a quarter of an hour. Writes plots and the table of PERFORMANCE.md.
bench-report: build
	$(PYTHON) tests/bench/run.py $(BUILD) --full --rounds 5
	$(PYTHON) tests/bench/report.py

crash: build
	$(PYTHON) tests/crash/run.py $(BUILD)
	WORKFLOWS_TURNS=60 $(PYTHON) -m pytest -q tests/python/test_exits.py -k every_await

# Every moment at which the disk, its power or the memory can fail.
faults: build
	WORKFLOWS_FAULTS=all $(BUILD)/tests/fault_tests

# Random programs and faults on simulated time: some minutes; SEEDS=1000 FIRST=1 for those. 4,000 or more fail also if they miss a rare path.
simulate: $(BUILD)/build.ninja
	cmake --build $(BUILD) --target simulation
	$(BUILD)/tests/simulation --seeds $(or $(SEEDS),200000) --first $(or $(FIRST),1)

# Every fuzzer, for a minute each; FUZZ_SECONDS=600 for longer.
fuzz: build/fuzz/build.ninja | deps-check
	cmake --build build/fuzz --target fuzzers
	$(PYTHON) tests/fuzz/run.py build/fuzz

# An hour of mixed load; SOAK_MINUTES=2 for a first look.
soak: build
	$(PYTHON) tests/soak/run.py $(BUILD)

# The C++ tests, and the binding under the Python tests. What is linked is the sanitized module: `make build` comes next.
asan: build/asan/build.ninja
	cmake --build build/asan
	ln -sfr build/asan/sdk-python/_core.*.so sdk-python/workflows/
	$(PYTHON) tests/run.py build/asan --asan

tsan: build/tsan/build.ninja | deps-check
	cmake --build build/tsan
	$(PYTHON) tests/run.py build/tsan --native

format: $(VENV)/ready | deps-check
	clang-format-19 -i $(CPP_FILES)
	$(VENV)/bin/ruff check --quiet --fix
	$(VENV)/bin/ruff format --quiet

check: check-format check-python check-style check-cpp tidy

check-format: $(VENV)/ready | deps-check
	clang-format-19 --dry-run -Werror $(CPP_FILES)
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check

check-python: build
	$(VENV)/bin/mypy
	MYPYPATH=sdk-python $(PYTHON) -m mypy.stubtest workflows._core --allowlist tests/style/stubtest.txt
	$(VENV)/bin/pyright

check-style: $(VENV)/ready | deps-check
	$(PYTHON) -m pytest -q tests/style

# What users run, by the second compiler; the presets make its warnings errors.
USER_TARGETS := workflows _core example_hello example_groceries example_pipeline example_order_saga example_approval
check-cpp: build/clang/build.ninja | deps-check
	cmake --build build/clang --target $(USER_TARGETS)

# The same files by clang-tidy, as `check-cpp` compiles them: the slowest check, about ten minutes.
tidy: check-cpp
	run-clang-tidy-19 -quiet -p build/clang '^$(CURDIR)/(engine|storage|sdk-python|examples)/'

# System packages: first those that everything needs, then those of `make check`, `make format` and the sanitizers.
deps: deps-build deps-check

deps-build:
	.ci/deps build

deps-check:
	.ci/deps check

# An editable install: the package is imported from sdk-python, where `make build` links the native module.
$(VENV)/ready: pyproject.toml | deps-build
	$(BASE_PYTHON) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --config-settings=wheel.cmake=false --editable '.[dev]'
	touch $@

build/%/build.ninja: CMakePresets.json | $(VENV)/ready
	cmake --preset $*

build/clang/build.ninja: CMakePresets.json | $(VENV)/ready deps-check
	cmake --preset clang

build/fuzz/build.ninja: CMakePresets.json | $(VENV)/ready deps-check
	cmake --preset fuzz

build/tsan/build.ninja: CMakePresets.json | $(VENV)/ready deps-check
	cmake --preset tsan

clean:
	rm -rf build $(VENV)
