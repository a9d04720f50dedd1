"""Whole data sets of composites: what is wanted, which pairs, and how they are made and kept.

`spec` says what is wanted, `listing` what there is, `plan` which pictures are paired; `engine`
makes one shard of them, `job` all shards and the files that describe them. docs/generation.md has
the promises. A shard follows from spec, listing and checkpoint alone, so that any worker can make
it.
"""
