#!/bin/bash
# What is to be measured on the first day with a GPU, in steps of at most ten minutes:
#
#   benchmarks/gpu_day.sh OUT STEP...
#
# Steps: facts tests composites compiled training compiled-training generation learn weights; `all`
# is all of them. Each stands alone and can be repeated: it replaces its own figures in OUT and
# leaves the others. `learn` goes on where the last one stopped. A step that fails or takes too long
# is noted, and the next one begins. OUT/table.md, printed first and last, has what is known so far;
# docs/benchmarks.md has the places for it. Needs the package with its extras worker, generate, train,
# people and dev (torch 2.11 or newer), and no network.
#
# REHEARSAL=1 runs the same on the CPU with numbers so small that they mean nothing.
set -uo pipefail

out=${1:?"usage: gpu_day.sh OUT STEP..., see the head of this file"}
shift
mkdir -p "$out"
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD

device=cuda presets="small paper detail" seconds=600
composites=(--rounds 5)
training=(--preset paper --batch-size 8 --iterations 5 --rounds 3 --profile "$out/profile.txt")
generation=(--count 20000 --naive-count 200 --rounds 1) threads="1 8"
learn=${LEARN:-model/weights/detail/train.sh}
if [ -n "${REHEARSAL:-}" ]; then
    device=cpu presets=small
    composites=(--rounds 1 --pictures 2)
    training=(--preset small --batch-size 2 --iterations 1 --rounds 1 --profile "$out/profile.txt")
    generation=(--count 8 --naive-count 2 --rounds 1) threads=1
    export GPU_TESTS_ON=cpu
fi
export DGNET_DEVICE=$device

table() { python -m benchmarks.gpu_table "$out" | tee "$out/table.md"; }

# measured NAME COMMAND...: runs it for ten minutes at most, notes how it ended; its words go to a log.
measured() {
    local name=$1 begun=$SECONDS status=0
    shift
    # The first signal lets a training save its state.
    timeout --signal=TERM --kill-after=20 $((seconds - 30)) "$@" > "$out/$name.log" 2>&1 || status=$?
    printf '{"step": "%s", "status": %d, "seconds": %d}\n' "$name" "$status" $((SECONDS - begun)) \
        > "$out/$name.step.json"
}

step_facts() {
    nvidia-smi > "$out/nvidia-smi.txt" 2>&1
    measured facts python -m benchmarks.gpu_table --facts "$out/facts.json" --device "$device"
}

step_tests() {
    measured tests python -m pytest -m gpu tests/gpu -q -p no:cacheprovider \
        ${TESTS:+-k "$TESTS"} --junitxml "$out/tests.xml"
}

composites_of() {
    for preset in $presets; do
        measured "composites-$preset$1" python -m benchmarks.composites --device "$device" \
            --preset "$preset" "${composites[@]}" "${@:2}" --json "$out/composites-$preset$1.json"
    done
}
step_composites() { composites_of ""; }
step_compiled() { composites_of -compiled --compile; }

step_training() {
    measured training python -m benchmarks.train --device "$device" "${training[@]}" \
        --json "$out/training.json"
}
step_compiled-training() {
    measured training-compiled python -m benchmarks.train --device "$device" "${training[@]}" \
        --compile --json "$out/training-compiled.json"
}

step_generation() {
    for count in $threads; do
        measured "generation-$count" python -m benchmarks.generation --device "$device" \
            "${generation[@]}" --threads "$count" --json "$out/generation-$count.json"
    done
}

step_learn() {
    mkdir -p "$out/programs"
    printf '#!/bin/sh\nexec python -m dgnet "$@"\n' > "$out/programs/dgnet"
    chmod +x "$out/programs/dgnet"
    PATH=$(realpath "$out/programs"):$PATH measured learn "$learn" "$out/work"
}

# The newest weights, half as large, in pieces that travel: `cat weights.tar.* | tar x` puts them together.
step_weights() {
    local newest
    newest=$(ls -td "$out"/work/detail "$out"/work/runs/*/checkpoint 2> /dev/null | head -1)
    if [ -z "$newest" ]; then
        echo "no weights in $out/work yet: run the step learn" >&2
        return
    fi
    rm -rf "$out/weights" "$out"/weights.tar.*
    measured weights python -m dgnet checkpoint pack "$newest" --half -o "$out/weights"
    tar c -C "$out" weights | split --bytes=15000000 --numeric-suffixes - "$out/weights.tar."
}

steps=("$@")
if [ "${steps[*]:-all}" = all ]; then
    steps=(facts tests composites compiled training compiled-training generation learn weights)
fi
for step in "${steps[@]}"; do
    if ! declare -F "step_$step" > /dev/null; then
        echo "gpu_day.sh: there is no step $step, see the head of the file" >&2
        exit 2
    fi
done
table
for step in "${steps[@]}"; do
    echo "--- $step" >&2
    "step_$step"
done
table
