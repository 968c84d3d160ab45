# The few commands people type; each installs what it lacks. `make test PRESET=debug` takes another preset of CMakePresets.json.
PRESET ?= release
BUILD := build/$(PRESET)
VENV := .venv
PYTHON := $(VENV)/bin/python
# The interpreter the venv is made of: the system's, whose headers `make deps` installs, wherever it is new enough.
BASE_PYTHON = $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo python3)

.PHONY: build demo test bench crash format check deps asan tsan clean

build: $(BUILD)/build.ninja
	cmake --build $(BUILD)
	ln -sfr $(BUILD)/sdk-python/_core.*.so sdk-python/workflows/

demo: build
	$(PYTHON) examples/python/demo.py

test: build
	$(PYTHON) tests/run.py $(BUILD)

bench: build
	$(PYTHON) tests/bench/run.py $(BUILD)

crash: build
	$(PYTHON) tests/crash/run.py $(BUILD)

# System packages: those the commands above need, and those `make check`, `make format` and `make tsan` need as well.
deps:
	.ci/deps build check

.PHONY: deps-build
deps-build:
	.ci/deps build

# An editable install: the package is imported from sdk-python, where `make build` links the native module.
$(VENV)/ready: pyproject.toml | deps-build
	$(BASE_PYTHON) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --config-settings=wheel.cmake=false --editable '.[dev]'
	touch $@

build/%/build.ninja: CMakePresets.json | $(VENV)/ready
	cmake --preset $*

clean:
	rm -rf build $(VENV)
