# Praxis, from a fresh clone: `make demo` to see it, `make test` to trust it.
# The work is in scripts/; each script says what it does.

.DEFAULT_GOAL := help
.PHONY: help demo test test-ocr test-aarch64 test-interchange test-mcp test-openapi build check check-cuda docs bench bench-engine bench-maskbench bench-retrieval bench-search bench-answers bench-faults bench-gateway bench-graph bench-knowledge bench-structured bench-reasoning bench-reuse bench-speech bench-text2sql bench-bfcl fuzz schemathesis soak lint-deps

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

demo: ## Build, fetch the models, and serve the demo assistant
	@scripts/demo.sh

test: ## Run everything that CI runs
	@scripts/test.sh

test-ocr: ## Run the tests of scanned pages (feature ocr); installs Tesseract where it is missing
	@scripts/test-ocr.sh

test-aarch64: ## Run the kernels' tests on an emulated Arm; needs a cross compiler and qemu
	@scripts/test-aarch64.sh

test-interchange: ## litellm asks Praxis, and Praxis asks llama.cpp's server; builds that server once
	@scripts/test-interchange.sh

test-mcp: ## Run the conformance suite of MCP, its Python SDK, and servers of others; PART=server|client|sdk
	@scripts/test-mcp.sh

test-openapi: ## Use a service of others by its OpenAPI document; installs changedetection.io once
	@scripts/test-openapi.sh

build: ## Build the release binary, target/release/praxis
	@scripts/setup.sh build
	cargo build --release --locked

check: ## Format, lints and repository checks: the quick half of `make test`
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo xtask tidy

check-cuda: ## Compile the feature for NVIDIA GPUs; fetches NVIDIA's compiler where it is missing
	@scripts/check-cuda.sh

docs: ## Write the generated documents
	cargo xtask docs

bench: ## Measure speed beside llama.cpp and sentence-transformers
	@scripts/bench.sh

bench-engine: ## Measure the chat engine beside llama.cpp and its server
	@scripts/bench-engine.sh

bench-maskbench: ## Count what constraints judge wrongly on a sample of MaskBench, and time their masks
	@scripts/bench-maskbench.sh

bench-retrieval: ## Measure the quality of retrieval beside BM25, LlamaIndex and LangChain
	@scripts/bench-quality.sh retrieval
	@scripts/bench-quality.sh chunking

bench-search: ## Measure reranking, other wordings and imagined answers, by the default chat model (hours)
	@scripts/bench-quality.sh search

bench-answers: ## Measure the quality of answers of the default model
	@scripts/bench-quality.sh answers

# VECTORS, CHUNKS, ROUNDS and MINUTES say how much; `scripts/bench-knowledge.sh --help` how long each part takes.
bench-knowledge: ## Measure all of knowledge (9 hours), or PARTS="vectors scale"; ALL=1: graphs and fuzzing too
	@scripts/bench-knowledge.sh $(PARTS)

bench-structured: ## Count how often outputs keep their schema, constrained and repaired
	@scripts/bench-functions.sh structured

bench-text2sql: ## Ask three databases in words, step by step (hours); DIALECTS=sqlite,postgres,mysql
	@scripts/bench-text2sql.sh accuracy

bench-reasoning: ## Compare techniques on problems of GSM8K
	@scripts/bench-functions.sh reasoning

bench-reuse: ## Count hits and false hits of kept answers (praxis.cache) by threshold; OPTIONS="--model NAME --app DIR"
	@scripts/bench-reuse.sh $(OPTIONS)

bench-graph: ## Measure the extraction of knowledge graphs, and which names are one entity
	@cargo build --release --locked
	@target/release/praxis models pull qwen2.5-coder-1.5b-instruct multilingual-e5-small all-minilm-l6-v2
	@python3 scripts/bench/graph.py

bench-faults: ## Kill ingests at random moments, ROUNDS=200 by default, and fill the disk; look for what is lost
	@scripts/bench-faults.sh all $(or $(ROUNDS),200)

bench-gateway: ## Measure what the gateway adds, beside litellm's proxy; memory, a flood; OPTIONS=--quick
	@scripts/bench-gateway.sh $(OPTIONS)

bench-bfcl: ## Measure function calling beside llama.cpp's server (hours); OPTIONS="--limit 50"
	@scripts/bench-bfcl.sh $(OPTIONS)

bench-speech: ## Measure speech to text beside faster-whisper
	@scripts/bench-speech.sh

fuzz: ## Give each loader of documents changed files, MINUTES=10 by default for each format
	@MINUTES=$(or $(MINUTES),10) scripts/fuzz.sh

schemathesis: ## Put CASES=10000 generated requests to the server, and hold its answers to the documents of its API
	@scripts/schemathesis.sh $(or $(CASES),10000)

soak: ## Hold the server under mixed load, MINUTES=60 by default
	@cargo build --release --locked
	@target/release/praxis models pull smollm2-135m-instruct all-minilm-l6-v2
	@python3 scripts/bench/soak.py $(or $(MINUTES),60)

lint-deps: ## Check licences, sources and advisories of all dependencies, and spelling
	@scripts/lint-deps.sh
