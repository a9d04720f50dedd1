"""How well a checkpoint finds people again."""
