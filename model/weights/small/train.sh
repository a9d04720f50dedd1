#!/bin/sh
# Makes the weights of this folder from nothing: renders people, trains on them, measures on others.
#
#   model/weights/small/train.sh WORK
#
# WORK is a folder for pictures and runs, some 1 GB. Run it again to carry on after an interruption.
# `dgnet` must be on the PATH. Two CPU cores take about two hours; README.md tells what came out.
set -eu

work=${1:?"usage: train.sh WORK"}
mkdir -p "$work"

# Another seed is another world: nobody in `held` is in `train`, nor are its places and cameras.
render() {
    folder=$1
    shift
    if [ -e "$work/$folder" ]; then set -- "$@" --resume; fi
    dgnet people render -o "$work/$folder" --cameras 8 "$@"
}

train() {
    network=$1
    shift
    if [ -e "$work/runs/$network/state" ]; then set -- "$@" --resume; fi
    dgnet train "$network" "$work/train" -o "$work/runs/$network" --data-license "CC0 1.0" \
        --data-name "rendered people (seed 2026, 6 worlds)" "$@"
}

render held --people 200 --pictures 16 --seed 9001 --test-people 200 --truth 500
render train --people 2400 --pictures 8 --worlds 6 --seed 2026 --splits train --truth 15000

train teacher --preset small --precision fp32 --iterations 1600 --batch-size 32 \
    --set last_stride=1 --set warmup_iterations=66 --set milestone=1200

train joint --teacher "$work/runs/teacher/checkpoint" --start teacher --truth "$work/train/truths" \
    --iterations 20600 --batch-size 2 --seed 1 --merge-batches --precision bf16 --paper-gradient \
    --set reconstruction_first=true --set warmup_start=18000 --set warmup_rate=0.005 \
    --set random_erasing=0 --set train_bn=false --set appearance_batch_statistics=false \
    --set appearance_learns=heads --set milestones=14500,19900,20450 --set decay=0.3 \
    --set generator_optimizer=muon --set generator_learning_rate=1e-3 \
    --set style_learning_rate=1e-3 --set discriminator_learning_rate=1e-3 \
    --set generator_momentum=0.5 --set gentle_styles=true --set head_learning_rate=0.004 \
    --set label_policy=appearance --set final_weights.adversarial=0.3 \
    --set final_weights.identity_generated=1 --set final_weights.primary=1 \
    --set final_weights.fine_ratio=0.1 --set final_weights.truth_identity=1

dgnet checkpoint pack "$work/runs/joint/checkpoint" --half -o "$work/small"
dgnet evaluate composites --people "$work/held" --truth "$work/held/truths" \
    --checkpoint "$work/small" --precision fp32 --update-card --sheet "$work/composites.png"
