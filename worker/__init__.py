"""Jobs through Redis and their execution in batches on one device."""
