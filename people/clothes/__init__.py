"""Clothes: what a person wears, and the surfaces that it becomes on a body."""
