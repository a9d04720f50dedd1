"""The doors: HTTP API, web page and Python client. Never imports torch."""
