"""Layer 1: the conversation with an AI, over MCP."""

from counterfoil_server.conversation.principals import new_token, token_digest
from counterfoil_server.conversation.server import Conversation

__all__ = ["Conversation", "new_token", "token_digest"]
