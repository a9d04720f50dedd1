"""Contact sheets, for the eye that no measure replaces."""
