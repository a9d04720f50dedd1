"""What front end and workers say to each other through Redis: contract, queue client, settings.

Imports nothing else of ours and no torch, so that the front end can import all of it.
"""
