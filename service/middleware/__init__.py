"""Pure ASGI middlewares, one concern each; none of them buffers a body."""
