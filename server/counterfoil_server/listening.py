"""The socket that a program of ours listens at."""

from __future__ import annotations

import socket

from counterfoil.errors import SettingsError


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; raises :class:`SettingsError` where the address is taken."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # Accepted connections inherit it. asyncio sets it only on sockets whose protocol is named, which this one's is
        # not; without it every answer in two writes waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {error.strerror}.", "Stop what listens there, or set another 'port'."
        ) from None
