"""Layer 1: the conversation with an AI, over MCP."""

from counterfoil_server.conversation.server import Conversation

__all__ = ["Conversation"]
