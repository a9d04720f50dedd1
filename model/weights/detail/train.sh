#!/bin/sh
# Makes the weights of this folder in stages: renders people, trains, packs, measures on others.
#
#   model/weights/detail/train.sh WORK
#
# WORK is a folder for pictures and runs, some 3 GB. Each stage starts from the last one's checkpoint;
# a better setting is a new stage. Run it again to carry on after an interruption. `dgnet` must be on
# the PATH, and for one core OMP_NUM_THREADS=1. README.md tells what came out, and of which stages.
set -eu

work=${1:?"usage: train.sh WORK"}
small=$(dirname "$0")/../small
mkdir -p "$work"

# Another seed is another world: nobody in `held` is in any training set, nor are its places.
render() {
    folder=$1
    shift
    if [ -e "$work/$folder" ]; then set -- "$@" --resume; fi
    dgnet people render -o "$work/$folder" --cameras 8 "$@"
}

teacher() {
    folder=$1 data=$2
    shift 2
    if [ -e "$work/runs/$folder/state" ]; then set -- "$@" --resume; fi
    dgnet train teacher "$work/$data" -o "$work/runs/$folder" --preset small --precision bf16 \
        --batch-size 32 --set last_stride=1 "$@"
}

# stage NAME DATA TEACHER START ITERATIONS SETTINGS...: true composites alone, absolute errors.
stage() {
    name=$1 data=$2 teacher=$3 start=$4 iterations=$5
    shift 5
    if [ -e "$work/runs/$name/state" ]; then set -- "$@" --resume; fi
    dgnet train joint "$work/$data" -o "$work/runs/$name" --teacher "$work/runs/$teacher/checkpoint" \
        --generator "$start" --preset detail --start teacher --truth "$work/$data/truths" \
        --iterations "$iterations" --batch-size 2 --seed 1 --merge-batches --precision bf16 \
        --data-license "CC0 1.0" --data-name "rendered people ($data)" \
        --set reconstruction_first=true --set squared_first=false --set warmup_start=100000 \
        --set random_erasing=0 --set train_bn=false --set appearance_batch_statistics=false \
        --set appearance_learns=heads --set rate_warmup=100 --set clip_gradient=5 \
        --set average=0.998 --set generator_optimizer=muon --set generator_learning_rate=6e-4 \
        --set style_learning_rate=6e-4 --set detail_learning_rate=1.2e-3 \
        --set generator_momentum=0.9 --set final_weights.same_person_reconstruction=0 \
        --set final_weights.identity=0 --set final_weights.identity_positive=0 \
        --set final_weights.truth=1 --set final_weights.truth_inside=1 "$@"
}

render held --people 200 --pictures 8 --seed 9001 --test-people 200 --truth 300
render recipe2 --people 600 --pictures 4 --worlds 3 --seed 2026 --splits train --truth 2400
render recipe3 --recipe 3 --people 2400 --pictures 1 --worlds 6 --seed 3026 --splits train \
    --truth 15000
render others --recipe 3 --people 1200 --pictures 1 --worlds 6 --seed 4026 --splits train \
    --truth 6000

# The backbone stands still from here on: that of `small`, hardly moved.
teacher teacher2 recipe2 --pretrained "$small" --iterations 20 --set warmup_iterations=30
teacher teacher3 recipe3 --pretrained "$work/runs/teacher2/checkpoint" --iterations 1 \
    --set backbone_learning_rate=0
teacher teacher4 others --pretrained "$work/runs/teacher3/checkpoint" --iterations 1 \
    --set backbone_learning_rate=0

stage a recipe2 teacher2 "$small" 1200 --set cosine=true \
    --set final_weights.truth_mask=0.1 --set final_weights.truth_colours=0.3
stage b recipe3 teacher3 "$work/runs/a/checkpoint" 2000 --set milestones=1700 --set decay=0.2 \
    --set final_weights.truth_mask=0.1 --set final_weights.truth_colours=0.3
stage c recipe3 teacher3 "$work/runs/b/checkpoint" 3000 --set milestones=2400,2800 --set decay=0.25 \
    --set final_weights.truth_mask=0.3 --set final_weights.truth_colours=1
# What is soft differs in features, hardly in levels.
stage d others teacher4 "$work/runs/c/checkpoint" 3000 --set cosine=true \
    --set final_weights.truth_mask=0.3 --set final_weights.truth_colours=1 \
    --set final_weights.truth_features=1

dgnet checkpoint pack "$work/runs/d/checkpoint" --half -o "$work/detail"
dgnet evaluate composites --people "$work/held" --truth "$work/held/truths" \
    --checkpoint "$work/detail" --precision fp32 --update-card --sheet "$work/composites.png"
