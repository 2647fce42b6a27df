# Everything runs in .venv, which the first target makes. Needs python3 (with venv), make and a C++ compiler.
PYTHON ?= python3
BIN := .venv/bin
# The first time it shows what it fetches.
PIP = $(BIN)/pip --disable-pip-version-check install $(if $(wildcard .venv/.built),--quiet) --constraint constraints.txt
mend = || { echo 'make: $(1)' >&2; exit 1; }
# Folders too: their timestamps change when a file is added or removed.
SOURCES := setup.py pyproject.toml $(shell find csrc)
# Waiting threads sleep: test workers share the cores, and so does whatever else runs while we measure.
export OMP_WAIT_POLICY ?= passive
# A worker keeps neighbouring tests, which share fixtures, until another one has nothing left to do.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

CXX_FILES := 'csrc/*.cpp' 'csrc/*.h' 'csrc/*.cu' 'csrc/*.cuh'

.PHONY: help build demo style test test-full test-all fuzz format bench bench-check results ladders profiles site gpu wheels hub clean

help:
	@echo 'make demo      set up .venv, build, show what is there, train on real digits, measure'
	@echo 'make test      style, types and a sample of every test (about 8 minutes on 2 cores)'
	@echo 'make test-full the same with every case, as CI runs it (about 45 minutes)'
	@echo 'make test-all  the same with the exhaustive sweeps and the installs from scratch'
	@echo 'make fuzz      random calls and sizes, new ones every time (about 25 minutes)'
	@echo 'make format    format Python, C++ and CUDA'
	@echo 'make bench     every primitive at every size against torch'
	@echo 'make bench-check  is a kernel slower or less accurate than benchmarks/expected.json says? (two minutes)'
	@echo 'make results   every table of speed in benchmarks/RESULTS.md, docs/speed.md and docs/cpu_training.md (an hour and a half)'
	@echo 'make ladders   the rungs of every primitive, measured and drawn on its page in docs (some minutes)'
	@echo 'make profiles  measure anew where ours is faster: the profiles that ship (ten minutes, on an AVX-512 machine)'
	@echo 'make site      this book as a web site, in build/site'
	@echo 'make gpu       are the GPU columns right, clean and fast? (eight minutes) Without a GPU: make gpu DEVICE=cpu'
	@echo 'make wheels    a wheel to give away for each Python that is here, tested, in dist'
	@echo 'make hub       a source tree for Hugging Face kernels, in build/hub'
	@echo 'make build     only .venv and the compiled module'
	@echo 'make clean     remove what was built; .venv stays'

.venv/.tools: constraints.txt
	$(PYTHON) -m venv .venv $(call mend,to mend it on Debian and Ubuntu: sudo apt install python3-venv)
	$(PIP) 'setuptools>=77' ninja pybind11 torch numpy $(call mend,once the network or the disk is mended: make build goes on)
	@touch $@

# pip alone would do, but hides what the build shows of its progress.
.venv/.built: .venv/.tools $(SOURCES)
	SCRATCHNET_REQUIRE_EXT=1 $(BIN)/python setup.py --quiet build_ext --inplace
	$(PIP) --no-build-isolation --editable '.[data,test]' $(call mend,once the network or the disk is mended: make build goes on)
	@touch $@

build: .venv/.built

demo: build
	$(BIN)/scratchnet info
	$(BIN)/scratchnet train digits --compare --backend cpp
	$(BIN)/scratchnet bench --quick --seconds 0.2

style: build
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	git ls-files $(CXX_FILES) | xargs $(BIN)/clang-format --dry-run -Werror
	$(BIN)/mypy

# --quick: a sample of the cases of every test, see tests/quick.py. The marks are explained in pyproject.toml.
test: style
	$(PYTEST) --quick -m 'not slow and not full'

test-full: style
	$(PYTEST) -m 'not slow'

test-all: style
	$(PYTEST)

format: build
	$(BIN)/ruff format
	git ls-files $(CXX_FILES) | xargs $(BIN)/clang-format -i

# Random calls and sizes, new ones every time, while the other targets repeat the same ones. A failure prints its seed.
fuzz: build
	SCRATCHNET_REAL_SIZES_SEED=$$(date +%s) $(PYTEST) tests/fuzz tests/real_sizes --fuzz-seed $$(date +%s)

bench: build
	$(BIN)/scratchnet bench

bench-check: build
	$(BIN)/python benchmarks/check.py

# OTHER='--python PATH' adds the torch of another interpreter. peers.py skips what is not installed.
results: RESULTS = benchmarks/RESULTS.md
results: build .venv/.bench
	$(BIN)/scratchnet bench --quick --readme docs/speed.md --plot docs/figures/roofline.svg
	$(BIN)/scratchnet bench --quick --compile --readme $(RESULTS)
	$(BIN)/scratchnet bench --quick --in-cache --environments $(OTHER) --csv environments.csv --readme $(RESULTS)
	$(BIN)/python benchmarks/pages.py environments.csv
	$(BIN)/python benchmarks/step.py --readme $(RESULTS)
	$(BIN)/python benchmarks/optim.py --readme $(RESULTS)
	$(BIN)/python benchmarks/small_calls.py --readme $(RESULTS)
	$(BIN)/python benchmarks/hidden_states.py --readme docs/cross_entropy.md
	$(BIN)/python benchmarks/peers.py --readme $(RESULTS)
	$(BIN)/python benchmarks/models.py --environments --readme $(RESULTS)
	$(BIN)/python benchmarks/models.py --compile --readme $(RESULTS)

ladders: build
	for page in $$($(BIN)/python -c 'from scratchnet.ops import PRIMITIVES; print(*PRIMITIVES)'); do \
	  $(BIN)/scratchnet ladder $$page --plot docs/figures/ladder_$$page.svg --readme docs/$$page.md || exit 1; done

# Both instruction sets, for both sides alike, and both things that idle threads do.
AVX2 := SCRATCHNET_CPU_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2
TUNE = $(BIN)/scratchnet tune --out scratchnet/profiles
profiles: build
	OMP_WAIT_POLICY=passive $(TUNE)/avx512-passive.json
	env -u OMP_WAIT_POLICY $(TUNE)/avx512-spin.json
	OMP_WAIT_POLICY=passive $(AVX2) $(TUNE)/avx2-passive.json
	env -u OMP_WAIT_POLICY $(AVX2) $(TUNE)/avx2-spin.json

# What an extra of pyproject.toml names; the package itself is there.
.venv/.docs .venv/.wheels .venv/.bench: .venv/.%: .venv/.tools pyproject.toml
	$(PIP) $$($(BIN)/python -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$*"])')
	@touch $@

site: build .venv/.docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --doctree-dir build/doctrees docs build/site

# Are the GPU columns right, clean and fast? Without a GPU: make gpu DEVICE=cpu. Without a network: tools/gpu_check.sh by itself.
gpu: DEVICE ?= cuda
gpu: build
	PYTHON=$(BIN)/python DEVICE=$(DEVICE) tools/gpu_check.sh

# For one Python: .venv/bin/python tools/wheels.py PATH
wheels: build .venv/.wheels
	$(BIN)/python tools/wheels.py

# Kernels and layers in the layout that Hugging Face's kernel-builder compiles and `kernels` loads.
hub: build
	$(BIN)/python tools/hub/generate.py

clean:
	rm -rf build dist docs/_made *.egg-info .pytest_cache .ruff_cache .mypy_cache .venv/.built
	rm -f scratchnet/_C*.so scratchnet/_cuda*.so scratchnet/*_build_failure.txt
	find . -path ./.venv -prune -o -name __pycache__ -exec rm -rf {} +
