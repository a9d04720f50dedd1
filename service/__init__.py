"""The HTTP front end: decodes and validates pictures, queues jobs, encodes results. Never imports torch."""
