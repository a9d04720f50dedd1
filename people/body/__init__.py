"""The naked body: its shape, its skeleton, its poses and the surfaces that clothes are cut from."""
