"""Composites on the disk: shards, the manifest, the finished set and its card."""
