"""Writes rendered sets: planned, in parallel, resumable to equal bytes."""
