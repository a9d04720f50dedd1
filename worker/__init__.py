"""Execution of jobs: claims, leases, batches on one device, and generation jobs task by task."""
