"""Synthetic data for person re-identification. Importing this imports nothing else.

`dgnet.client` is the client of the HTTP API; the rooms are folders beside this one, by links:
docs/architecture.md.
"""
