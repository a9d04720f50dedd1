"""The contract of the queue: what front end and workers say to each other through Redis."""
