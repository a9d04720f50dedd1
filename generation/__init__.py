"""Whole data sets of composites: what is wanted, which pairs, and how they are made and kept.

`dgnet.jobs.generation.spec` says what is wanted, `pairing` what there is and what meets what;
`making` makes one shard of it, `output` keeps shards and ends as a described set, `upload` brings
that to a URL; `local_run` does all of it on one machine. docs/generation.md has the promises. A
shard follows from spec, listing and checkpoint alone, so that any worker can make it.
"""
