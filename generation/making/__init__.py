"""Pairs become composites, scored and labeled, a shard at a time."""
