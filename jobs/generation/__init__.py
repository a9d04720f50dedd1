"""Generation jobs as all see them: spec, record, and the store of both."""
