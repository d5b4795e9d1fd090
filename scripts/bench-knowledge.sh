#!/usr/bin/env bash
# All of knowledge, measured beside its peers in one go, the short parts first:
#
#   retrieval   quality of search on seven corpora, beside bm25s, LlamaIndex and LangChain   0.5 h
#   chunking    passages on five corpora, beside recursive splitters                         0.2 h
#   full        disks that fill up at random moments                                         0.2 h
#   faults      kills at random moments, ROUNDS=200                                          0.5 h
#   ingest      documents a second, beside LlamaIndex                                        0.5 h
#   scale       a base of a million chunks, CHUNKS=1000000                                   1 h
#   vectors     the vector index beside hnswlib, faiss, usearch, hannoy, diskann; VECTORS=1000000   6 h and more
# and with ALL=1:
#   graph       triples and names of a knowledge graph, by the default chat model            0.5 h
#   fuzz        changed files through each loader, MINUTES=10 for each format                4 h
#
# usage: bench-knowledge.sh [PART...]     (default: all of them, but the last two only with ALL=1)
#
# Hours are for two cores, and none of them is exact. What a part prints is kept in target/knowledge-bench/PART.txt.
# A part that fails stops no other; in the end they are named, and this fails.

source "$(dirname "$0")/lib/common.sh"

known=(retrieval chunking full faults ingest scale vectors)
more=(graph fuzz)

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' scripts/bench-knowledge.sh
}

run() {
    case "$1" in
        retrieval | chunking) scripts/bench-quality.sh "$1" ;;
        full) scripts/bench-faults.sh full ;;
        faults) scripts/bench-faults.sh kills "${ROUNDS:-200}" ;;
        ingest) scripts/bench-ingest.sh ;;
        scale) scripts/bench-scale.sh "${CHUNKS:-1000000}" ;;
        vectors) scripts/bench-vectors.sh "${VECTORS:-1000000}" ;;
        graph) make --no-print-directory bench-graph ;;
        fuzz) scripts/fuzz.sh ;;
    esac
}

case "${1:-}" in
    -h | --help)
        usage
        exit 0
        ;;
esac
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=("${known[@]}")
[ $# -gt 0 ] || [ -z "${ALL:-}" ] || parts+=("${more[@]}")
for part in "${parts[@]}"; do
    [[ " ${known[*]} ${more[*]} " == *" $part "* ]] ||
        fail "there is no part $part; there are: ${known[*]} ${more[*]}"
done

folder=target/knowledge-bench
mkdir -p "$folder"
failed=()
summary=()
for part in "${parts[@]}"; do
    started=$SECONDS
    # Each part is a program of its own, so that its first error ends it also here.
    if run "$part" 2>&1 | tee "$folder/$part.txt"; then
        how=done
        if grep -q '^SKIPPED' "$folder/$part.txt"; then how="skipped, or a part of it"; fi
    else
        how=FAILED
        failed+=("$part")
    fi
    summary+=("$(printf '%6d s  %-10s %s' $((SECONDS - started)) "$part" "$how")")
done

heading "Done in $((SECONDS / 3600)) h $((SECONDS / 60 % 60)) min; $folder holds what was printed"
printf '%s\n' "${summary[@]}"
[ ${#failed[@]} = 0 ] || fail "failed: ${failed[*]}"
