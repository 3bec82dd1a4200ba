"""Layer-neutral: the outbox's delivery, by mail (``smtp.py``) or into the demo's mailbox."""

from counterfoil_server.notices.delivery import Delivery, Described
from counterfoil_server.notices.describing import describer
from counterfoil_server.notices.transports import Mailbox, Transport

__all__ = ["Delivery", "Described", "Mailbox", "Transport", "describer"]
