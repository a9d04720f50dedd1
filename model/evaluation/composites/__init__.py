"""Composites of people it never saw, against their goals."""
