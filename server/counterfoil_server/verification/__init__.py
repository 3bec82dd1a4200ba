"""Layer 2: links, passkey ceremonies, enrolment, and the pages on which people decide."""

from counterfoil_server.verification.links import DeliveredLink
from counterfoil_server.verification.routes import Lifetimes, Verification

__all__ = ["DeliveredLink", "Lifetimes", "Verification"]
