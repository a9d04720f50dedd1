"""A finished set is brought to a URL."""
