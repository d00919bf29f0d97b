# `make demo` sets up and runs the main job; `make test` sets up and passes the tests.
PYTHON ?= python3
FULL := .venv
CORE := .venv-core
DEMO := .venv-demo
COMPRESSAI := .venv-compressai
SOURCES := $(shell find plugin codecs adapters -type f -not -path "*/__pycache__/*")
PIP := -m pip install --quiet --disable-pip-version-check
# torch for the CPU is small; beside torchvision, which the measures of `bench` need, it has to be
# the build that the package index has
CPU := --constraint constraints.txt

# environments are built from one tree, one after the other
.NOTPARALLEL:
.PHONY: comparison demo test lint types test-core test-full test-compressai test-pillows fuzz train train-base benchmark clean

demo: $(DEMO)/ready
	$(DEMO)/bin/python examples/demo.py --out out/demo

test: lint types test-core test-full test-compressai

lint: $(FULL)/ready
	$(FULL)/bin/ruff check .
	$(FULL)/bin/ruff format --check .

types: $(FULL)/ready
	$(FULL)/bin/mypy

# two processes, each of which computes on one thread: threads of two would wait for each other
PYTEST := -m pytest --quiet --numprocesses 2 --dist loadgroup

# without OpenCV, HEIC and the rest, what `pip install diffc` alone gives: that which a missing package can break
test-core: $(CORE)/ready
	env -u DIFFC_REQUIRE_BROWSER OMP_NUM_THREADS=1 $(CORE)/bin/python $(PYTEST) \
	  tests/core tests/cli tests/opencv tests/pillow tests/models tests/bench/test_bench_contenders.py \
	  tests/shared/test_embedded.py

test-full: $(FULL)/ready
	OMP_NUM_THREADS=1 $(FULL)/bin/python $(PYTEST)

# CompressAI's models, which want an older numpy than some hosts
test-compressai: $(COMPRESSAI)/ready
	OMP_NUM_THREADS=1 $(COMPRESSAI)/bin/python $(PYTEST) tests/compressai_codec

# the Pillow adapter on every minor release since the oldest one supported
PILLOWS ?= 11.3.0 12.0.0 12.1.1 12.2.0 12.3.0 13.0.0
test-pillows: $(CORE)/ready
	for version in $(PILLOWS); do \
	  $(CORE)/bin/python $(PIP) pillow==$$version && \
	  $(CORE)/bin/python -m pytest --quiet tests/pillow tests/pictures tests/core/test_frozen.py || exit 1; \
	done

FUZZ ?= 2000000
# fewer: a network renders each of them
FUZZ_RELAY ?= 10000
fuzz: $(FULL)/ready
	$(FULL)/bin/python tests/fuzz_container.py --executions $(FUZZ)
	$(FULL)/bin/python tests/fuzz_pillow.py --executions $(FUZZ)
	$(FULL)/bin/python tests/fuzz_relay.py --executions $(FUZZ_RELAY)

# make train PHOTOS=folder PERCEPTUAL=vgg.safetensors [PRESET=gpu DEVICE=cuda MINUTES=30 RUN=folder]
PRESET ?= cpu
DEVICE ?= cpu
MINUTES ?= inf
RUN ?= runs/$(PRESET)
train: $(FULL)/ready
	$(FULL)/bin/python -m diffc.codecs.training $(RUN) --photos $(PHOTOS) \
	  --preset $(PRESET) --device $(DEVICE) --minutes $(MINUTES) \
	  --perceptual-weights $(PERCEPTUAL) --model codecs/weights/tiny \
	  --relay-model codecs/weights/relay-tiny --perco-model codecs/weights/perco-tiny

# a learned base for relay, of CompressAI's layers; the same arguments
train-base: $(COMPRESSAI)/ready
	$(COMPRESSAI)/bin/python -m diffc.codecs.training $(RUN) --photos $(PHOTOS) \
	  --preset $(PRESET) --device $(DEVICE) --minutes $(MINUTES) --stages compressai export-compressai

# the README's picture
comparison: $(DEMO)/ready
	$(DEMO)/bin/python examples/comparison.py --out docs/images/comparison.jpg

# make benchmark PHOTOS=folder
benchmark: $(FULL)/ready
	$(FULL)/bin/diffc bench $(PHOTOS) --out out/benchmark

$(FULL)/ready: pyproject.toml setup.py setup.cfg constraints.txt $(SOURCES)
	$(PYTHON) -m venv $(FULL)
	$(FULL)/bin/python $(PIP) "setuptools>=77" wheel
# links to modules that have moved would stay importable
	rm -rf build/__editable__.*
	$(FULL)/bin/python $(PIP) --editable ".[dev]"
	touch $@

$(CORE)/ready: pyproject.toml setup.py setup.cfg constraints.txt $(SOURCES)
	$(PYTHON) -m venv $(CORE)
	$(CORE)/bin/python $(PIP) $(CPU) "setuptools>=77" wheel pytest pytest-xdist hypothesis
	rm -rf build/lib build/bdist.*
	$(CORE)/bin/python $(PIP) $(CPU) .
	touch $@

# the full environment's packages, and on top of them what CompressAI needs otherwise: torch is not fetched twice.
# pip names those hosts that are not usable there
$(COMPRESSAI)/ready: $(FULL)/ready
	$(PYTHON) -m venv $(COMPRESSAI)
	$(FULL)/bin/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > "$$($(COMPRESSAI)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/full.pth"
	$(COMPRESSAI)/bin/python $(PIP) --no-compile "compressai>=1.2.8" "numpy<2"
	touch $@

$(DEMO)/ready: pyproject.toml setup.py setup.cfg constraints.txt $(SOURCES)
	$(PYTHON) -m venv $(DEMO)
	rm -rf build/lib build/bdist.*
	$(DEMO)/bin/python $(PIP) $(CPU) ".[demo]"
	touch $@

clean:
	rm -rf $(FULL) $(CORE) $(DEMO) $(COMPRESSAI) build dist out *.egg-info
