"""Which pictures are paired: the listing, and the plan laid over it."""
