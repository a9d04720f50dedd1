"""How good composites are as a set, beside real pictures."""
