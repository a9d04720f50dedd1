"""Pairs become composites, scored and labelled, a shard at a time."""
