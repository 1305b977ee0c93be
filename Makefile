# `make demo` and `make test` do all the set-up they need; a second run finds it done. CI calls the same targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# rustup's own folder first: Debian's cargo, where there is one, is too old.
export PATH := $(HOME)/.cargo/bin:$(PATH)

# The one place that says which ONNX Runtime is used; the library finds its OpenVINO parts beside itself.
ORT_DYLIB_PATH ?= $(shell scripts/onnxruntime.sh path)
export ORT_DYLIB_PATH

# Headers of TensorRT 11 and TensorRT-RTX, against which the shim is compiled where the system has none, and the libraries
# of TensorRT-RTX, with which tests build engines. The daemon itself looks for an installed TensorRT.
export BELVEDERE_TENSORRT_HEADERS ?= $(shell scripts/tensorrt-headers.sh path)
export BELVEDERE_TENSORRT_RTX ?= $(shell scripts/tensorrt-rtx.sh path)
# What `make engines` builds: MODEL[:CAPABILITY,...] of tiny, base and large.
ENGINES ?= tiny base large

# The test that asks the ONNX checker runs this Python, and the held-out pictures are drawn with it.
BELVEDERE_PYTHON ?= $(CURDIR)/.venv/bin/python
export BELVEDERE_PYTHON
# Python with torch and transformers, for `make goldens` and `make bench-peers`.
PEERS_PYTHON ?= $(CURDIR)/.venv-peers/bin/python

CARGO_FLAGS := --release --locked
BELVEDERE := $(CARGO_TARGET_DIR)/release/belvedere
export BELVEDERE_BIN ?= $(BELVEDERE)
# $(call measure-quality,PICTURES,SECONDS OF FILM): a table. What transformers says is compared where it is known.
QUALITY := $(CARGO_TARGET_DIR)/quality
measure-quality = $(CARGO_TARGET_DIR)/release/belvedere-quality --pictures "$(QUALITY)/$(1)" --film-seconds $(2) \
	$(addprefix --reference-tokens ,$(wildcard models/tiny/reference_tokens.json))
draw-pictures = $(BELVEDERE_PYTHON) models/tiny/held_out.py "$(QUALITY)/$(1)" --scenes $(1)

# $(call build-engines,MODELS): a table. TensorRT-RTX is pinned for x86_64 only.
build-engines = [[ $$(uname -m) != x86_64 ]] || BELVEDERE_TENSORRT_LIBRARY="$(BELVEDERE_TENSORRT_RTX)" \
	cargo run $(CARGO_FLAGS) --quiet --package belvedere-models --example engines -- $(1)

# Finds what kernels do wrong on a GPU: part of the CUDA toolkit, and of the Python package nvidia-cuda-sanitizer-api.
# `make gpu-test` does without where it is not.
COMPUTE_SANITIZER ?= $(shell command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)

# Debian has Chromium as a package, Ubuntu as a snap only. Looked for when the tests begin.
WITHOUT_BROWSER = $(shell [[ -n "$$BELVEDERE_CHROMIUM" ]] || command -v chromium chromium-browser google-chrome >/dev/null || echo "-- --skip page::")

.PHONY: help demo test build lint deny deb deb-test fuzz engines ptx ptx-check gpu-test gpu-bench gpu-carry quality evidence reload-stress soak bench bench-peers reference tiny-model tiny-film tiny-tokens goldens clean packages rust onnxruntime python page-tools peers-python tensorrt-headers tensorrt-rtx

help: ## say what the targets do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: build ## build what is missing, then print results from a test camera until Ctrl-C
	$(BELVEDERE) demo

test: lint build python page-tools ptx-check tensorrt-rtx ## every test: format, lints, unit tests, and the binary end to end
	@[[ -z "$(WITHOUT_BROWSER)" ]] || echo "make test: NOT TESTED: the page in a browser; this system has no package of Chromium. Name one with BELVEDERE_CHROMIUM" >&2
	cargo test $(CARGO_FLAGS) --workspace --no-fail-fast $(WITHOUT_BROWSER)
	scripts/fuzz.sh corpora
	$(call build-engines,base:89)
	$(call draw-pictures,30)
	$(call measure-quality,30,45) --floors models/tiny/floors.json
	$(CARGO_TARGET_DIR)/release/belvedere-evidence --pictures "$(QUALITY)/30" --half both --form each --least-area 0.97

build: packages rust onnxruntime tensorrt-headers ## the binary, in target/release
	cargo build $(CARGO_FLAGS) --workspace
	@scripts/onnxruntime.sh link "$(CARGO_TARGET_DIR)"

lint: packages rust tensorrt-headers ## cargo fmt --check, clippy without a warning, and cargo deny with a snapshot of its database
	scripts/deny.sh self-test
	scripts/deny.sh check
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

engines: build tensorrt-rtx ## real TensorRT-RTX engines without a GPU, in a table (a quarter of an hour and 6 GB; ENGINES=base:89 is a minute)
	$(call build-engines,$(ENGINES))

ptx: packages ## compile the CUDA kernels again, to kernels/cu/ptx
	scripts/kernels-ptx.sh make

ptx-check: packages ## the PTX in kernels/cu/ptx is current, and every kernel compiles for every GPU without spilling
	scripts/kernels-ptx.sh check

gpu-carry: rust onnxruntime tensorrt-headers tensorrt-rtx ## all that scripts/gpu_session.py needs on a bare machine with a GPU, in target/gpu-carry
	scripts/onnxruntime-gpu.sh install
	scripts/gpu-carry.sh "$(CARGO_TARGET_DIR)/gpu-carry"

gpu-test: rust onnxruntime tensorrt-headers ## what needs an NVIDIA GPU: every kernel and engine against its reference, and under compute-sanitizer
	cargo test $(CARGO_FLAGS) -p belvedere-cuda --test gpu -- --ignored --nocapture
	cargo test $(CARGO_FLAGS) -p belvedere-models --test engines_on_gpu --test florence_on_gpu -- --ignored --nocapture
ifneq ($(COMPUTE_SANITIZER),)
	for tool in memcheck racecheck initcheck synccheck; do \
	  BELVEDERE_GPU_SEEDS=20 $(COMPUTE_SANITIZER) --tool $$tool --target-processes all --error-exitcode 1 \
	    cargo test $(CARGO_FLAGS) -p belvedere-cuda --test gpu -- --ignored cases || exit 1; \
	done
else
	@echo "no compute-sanitizer here: the kernels were not run under it"
endif

gpu-bench: rust tensorrt-headers ## what kernels and model take on an NVIDIA GPU, beside PyTorch float16 (PEERS_PYTHON has torch and transformers)
	cargo bench $(subst --release,,$(CARGO_FLAGS)) -p belvedere-cuda --bench gpu
	cargo build $(CARGO_FLAGS) -p belvedere-gpu
	$(PEERS_PYTHON) scripts/bench_gpu_peers.py --belvedere $(CARGO_TARGET_DIR)/release/belvedere-gpu

deny: rust ## cargo deny with RustSec's own database: licences, sources and known vulnerabilities
	scripts/deny.sh fresh

deb: build ## the Debian package of this machine's architecture, in target/deb
	cargo build $(CARGO_FLAGS) -p belvedere --example reference
	scripts/deb.sh "$(CARGO_TARGET_DIR)/deb"

deb-test: deb ## install, upgrade, remove and purge the package in a clean Debian, under systemd where it boots (root, minutes)
	scripts/deb-test.sh "$$(ls -t "$(CARGO_TARGET_DIR)"/deb/*.deb | head -1)"

fuzz: build ## FUZZ_SECONDS (60) of libFuzzer for each reader of what comes from outside
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

quality: build python ## how good the bundled model is: 500 pictures and a minute of film, in a table
	$(call draw-pictures,500)
	$(call measure-quality,500,60)

evidence: build python ## what the scores of phrases are worth: 1500 pictures, in a table
	$(call draw-pictures,1500)
	$(CARGO_TARGET_DIR)/release/belvedere-evidence --pictures "$(QUALITY)/1500"

RELOADS ?= 1000
reload-stress: build ## RELOADS=1000 random configurations, one after the other, under load: what is lost, what is left behind
	$(CARGO_TARGET_DIR)/release/belvedere-reload-stress --reloads $(RELOADS)

MINUTES ?= 120
soak: build ## MINUTES=120 with 8 cameras at 720p whose servers and broker are killed again and again; a table and a plot
	$(CARGO_TARGET_DIR)/release/belvedere-soak --minutes $(MINUTES) --out "$(CARGO_TARGET_DIR)/soak"

bench: build ## measure each stage on this machine
	$(BELVEDERE) bench

bench-peers: build peers-python ## Belvedere and transformers in turn on the same work, with the ratios
	$(PEERS_PYTHON) scripts/bench_peers.py --belvedere $(BELVEDERE)

reference: build ## write again what is made from the list of keys: the example configuration and its schema
	cargo run $(CARGO_FLAGS) --quiet -p belvedere --example reference -- kept .

tiny-model: peers-python ## train the bundled model again, or go on from where it stopped (hours on two cores)
	$(PEERS_PYTHON) models/tiny/train.py --out $(CARGO_TARGET_DIR)/tiny-model
	cp $(CARGO_TARGET_DIR)/tiny-model/checkpoint/*.json $(CARGO_TARGET_DIR)/tiny-model/checkpoint/model.safetensors models/tiny/
	cp $(CARGO_TARGET_DIR)/tiny-model/curve.jsonl models/tiny/

tiny-film: peers-python ## draw the demonstration's film again (needs ffmpeg)
	$(PEERS_PYTHON) models/tiny/film.py models/tiny

goldens: peers-python ## make what the tests expect again, with Pillow and transformers
	$(PEERS_PYTHON) kernels/tests/pillow/make_goldens.py
	$(PEERS_PYTHON) kernels/tests/levels/make_goldens.py
	$(PEERS_PYTHON) models/tests/reference/make_search_goldens.py > models/testdata/search_goldens.json
	$(PEERS_PYTHON) models/tests/reference/make_goldens.py
	@echo "not made again: text_goldens.json (needs the original processing_florence2.py), kernels/tests/swscale (needs ffmpeg)"

tiny-tokens: peers-python ## after each training: make again what the bundled model's answers must equal
	$(PEERS_PYTHON) models/tiny/held_out.py "$(QUALITY)/200" --scenes 200
	$(PEERS_PYTHON) models/tiny/make_reference_tokens.py "$(QUALITY)/200" --scenes 200 > "$(QUALITY)/reference_tokens.json"
	mv "$(QUALITY)/reference_tokens.json" models/tiny/

clean: ## remove what was built; what was downloaded stays
	cargo clean

packages:
	@scripts/debian-packages.sh

rust:
	@scripts/rust-toolchain.sh

onnxruntime: packages
	@scripts/onnxruntime.sh install

tensorrt-headers: rust
	@scripts/tensorrt-headers.sh install

tensorrt-rtx: packages
	@scripts/tensorrt-rtx.sh install

python: packages
	@[[ "$(BELVEDERE_PYTHON)" != "$(CURDIR)/.venv/bin/python" ]] || scripts/python-env.sh .venv scripts/requirements-test.txt

page-tools: packages
	@scripts/page-tools.sh

peers-python: packages
	@[[ "$(PEERS_PYTHON)" != "$(CURDIR)/.venv-peers/bin/python" ]] || scripts/python-env.sh .venv-peers scripts/requirements-peers.txt
