#!/usr/bin/env bash
# Generated requests to the real binary, every answer held to the documents of the API: our own, and OpenAI's as far as
# we serve it. No answer may be a 5xx, and each has a status, a type and a shape that its document has.
#
# usage: schemathesis.sh [CASES]     (10000 by default, half of them for each document; SEED=7 for other ones)
#
# COVERAGE=1 adds Schemathesis's own list of edge cases for each operation, some thousands beyond CASES.
# OPENAI_OPENAPI is OpenAI's document (default: shared/conformance/openai-openapi.yaml beside the repository); without
# it, all cases are for our own.

source "$(dirname "$0")/lib/common.sh"

cases="${1:-10000}"
seed="${SEED:-1}"
phases=examples,${COVERAGE:+coverage,}fuzzing
openai="${OPENAI_OPENAPI:-$ROOT/../shared/conformance/openai-openapi.yaml}"
chat=smollm2-135m-instruct
embedder=all-minilm-l6-v2
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
# Rounds of one document at most: each has other requests, and its number is not known before.
rounds=12

[[ "$cases" =~ ^[1-9][0-9]*$ ]] || fail "usage: schemathesis.sh [CASES]"

scripts/setup.sh bench
if [ -z "${PRAXIS_BIN:-}" ]; then
    heading "Building"
    cargo build --release --locked
fi
praxis="${PRAXIS_BIN:-$ROOT/target/release/praxis}"
python="$ROOT/target/schemathesis-venv/bin/python"
[ -x "$python" ] || python3 -m venv "$ROOT/target/schemathesis-venv"
"$python" -m pip install --quiet --disable-pip-version-check schemathesis==4.32.5
"$praxis" models pull "$chat" "$embedder"

work="$(mktemp -d)"
server=''
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

heading "Serving a scratch application"
app="$work/scratch"
"$praxis" new "$app" --template knowledge-qa --quiet
cat >"$app/praxis.toml" <<END
[app]
name = "scratch"

[defaults]
chat = "$chat"
embedding = "$embedder"

[files]
max_file_bytes = 100000
END
cat >"$app/knowledge/sendai.md" <<'END'
# Studying in Sendai

Anatomy was taught by Fujino Genkuro, a thin man who wore an old coat.
END
# A function's answers are as short as those that requests ask for.
sed -i 's/maxOutputTokens: .*/maxOutputTokens: 2/' "$app"/prompts/*.prompt
"$praxis" ingest --app "$app" --quiet
"$praxis" serve --app "$app" --port 0 --json >"$work/serve.json" 2>"$work/serve.log" &
server=$!
url=''
for _ in $(seq 100); do
    url="$(sed -n 's/.*"url": "\(.*\)".*/\1/p' "$work/serve.json")"
    [ -z "$url" ] || break
    kill -0 "$server" 2>/dev/null || fail "praxis serve ended: $(cat "$work/serve.log")"
    sleep 0.1
done
[ -n "$url" ] || fail "praxis serve did not say where it is"
curl -sf "$url/openapi.json" >"$work/praxis.json"

# operations DOCUMENT: how many it has.
operations() {
    "$python" -c 'import json, sys
methods = {"get", "post", "delete", "put", "patch"}
print(sum(len(methods & set(path)) for path in json.load(open(sys.argv[1]))["paths"].values()))' "$1"
}

failed=()

# put_to NAME DOCUMENT BASE CASES: so many requests of a document, at least.
put_to() {
    local name="$1" document="$2" base="$3" wanted="$4" count="$work/$1.count" round=0 done=0
    local each these="$phases"
    each=$((wanted / $(operations "$document") + 1))
    heading "Requests of $name: $wanted cases, $(operations "$document") operations"
    while [ "$done" -lt "$wanted" ] && [ "$round" -lt "$rounds" ]; do
        (
            # What it remembers goes with the folder.
            cd "$work"
            SCHEMATHESIS_HOOKS="$ROOT/scripts/schemathesis/hooks.py" PRAXIS_CASES="$count" \
                PRAXIS_CHAT="$chat" PRAXIS_EMBEDDER="$embedder" \
                "$ROOT/target/schemathesis-venv/bin/schemathesis" run "$document" --url "$base" --checks "$checks" \
                --phases "$these" --max-examples "$each" --seed $((seed + round)) --workers 2 \
                --request-timeout 120 --generation-database none --generation-with-security-parameters false \
                --suppress-health-check all --warnings off --continue-on-failure --no-color
        ) || failed+=("$name, round $((round + 1))")
        kill -0 "$server" 2>/dev/null || fail "the server ended: $(tail -n 20 "$work/serve.log")"
        done="$(cat "$count" 2>/dev/null || echo 0)"
        [ "$done" -gt 0 ] || fail "no request was sent"
        each=$(((wanted - done) / $(operations "$document") + 1))
        these=fuzzing
        round=$((round + 1))
    done
    [ "$done" -ge "$wanted" ] || fail "$done of $wanted requests of $name were sent in $rounds rounds"
    total=$((total + done))
}

total=0
if [ -e "$openai" ]; then
    "$python" scripts/schemathesis/reduce.py "$openai" "$work/praxis.json" >"$work/openai.json"
    put_to praxis "$work/praxis.json" "$url" $((cases / 2))
    put_to openai "$work/openai.json" "$url/v1" $((cases - cases / 2))
else
    printf 'SKIPPED: no requests of OpenAI'"'"'s document: no %s\n' "$openai" >&2
    put_to praxis "$work/praxis.json" "$url" "$cases"
fi

[ ${#failed[@]} = 0 ] || fail "after $total cases: failures in ${failed[*]}"
heading "$total cases, no failure"
