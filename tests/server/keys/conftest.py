"""The gym's desk, whose authority has keys of its own in a folder."""

from server.testing.conftest import anyio_backend, desk, gym

__all__ = ["anyio_backend", "desk", "gym"]
