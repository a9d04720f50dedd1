#!/bin/sh
# Makes the judge of this folder from nothing: renders people, trains on them, measures on others.
#
#   model/weights/judge/train.sh WORK
#
# WORK is a folder for pictures, some 200 MB. Run it again to carry on after an interruption.
# `dgnet` must be on the PATH. README.md tells what came out.
set -eu

work=${1:?"usage: train.sh WORK"}
mkdir -p "$work"

# Seeds that neither the weights beside these nor the sample people use: another seed is another
# world, with people, places and cameras of its own.
render() {
    folder=$1
    shift
    if [ -e "$work/$folder" ]; then set -- "$@" --resume; fi
    dgnet people render -o "$work/$folder" --cameras 8 "$@"
}

render train --people 2200 --pictures 8 --worlds 11 --seed 424200 --splits train
render unseen-1 --people 200 --pictures 8 --seed 424301 --test-people 200
render unseen-2 --people 200 --pictures 8 --seed 424302 --test-people 200

# Learns from the first seven worlds, cameras 1 to 56.
seven=$work/seven/bounding_box_train
mkdir -p "$seven"
find "$work/train/bounding_box_train" -regex '.*_c\([1-9]\|[1-4][0-9]\|5[0-6]\)s.*' \
    -exec ln -f {} "$seven" \;

if [ -e "$work/run/state" ]; then set -- --resume; else set --; fi
dgnet train judge "$work/seven" -o "$work/run" --seed 1 --precision bf16 \
    --data-license "CC0 1.0" \
    --data-name "rendered people (recipe 2, seed 424200, first 7 of 11 worlds)" "$@"
dgnet evaluate judge "$work/run/checkpoint" "$work/unseen-1" "$work/unseen-2" --update-card
