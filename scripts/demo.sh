#!/usr/bin/env bash
# Builds Praxis and serves the demo, an assistant over Praxis's own documentation.
# PORT=9000 asks for a port; otherwise it is 8787 or the next free one.

source "$(dirname "$0")/lib/common.sh"

praxis="$ROOT/target/release/praxis"
app="$ROOT/examples/handbook"

scripts/setup.sh build

heading "Building (minutes the first time)"
cargo build --release --locked

cd "$app"
heading "Fetching the models (1.2 GB the first time, shared by all applications)"
"$praxis" models pull

heading "Reading the documents"
"$praxis" ingest

# taken PORT: something listens there.
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

port="${PORT:-8787}"
if [ -z "${PORT:-}" ]; then
    while taken "$port"; do port=$((port + 1)); done
fi
url="http://127.0.0.1:$port"

# Prints what to try as soon as the server answers; gives up when it is gone.
announce() {
    local server="$1"
    until curl -sf -o /dev/null "$url/healthz"; do
        kill -0 "$server" 2>/dev/null || return
        sleep 0.1
    done
    cat <<END

${BOLD}The handbook assistant is ready: $url${RESET}

Three things to try:

  1. In the browser, in Chinese or English: open ${BOLD}$url${RESET} and ask
       Praxis 能离线运行吗？
  2. Through the OpenAI API:
       curl $url/v1/chat/completions -H 'content-type: application/json' -d '{
         "model": "function:answer",
         "messages": [{"role": "user", "content": "Which file formats can be ingested?"}]}'
  3. On the command line, in another terminal:
       cd examples/handbook
       ../../target/release/praxis call answer question="How do I add a document loader?"

${DIM}Ctrl-C stops it.${RESET}
END
}

heading "Serving"
announce $$ &
exec "$praxis" serve --quiet --port "$port"
