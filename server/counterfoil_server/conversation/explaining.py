"""``explain_requirements``: what an operation asks of people, from its declaration and the policy's text alone.

It looks at no account and no object, so its answer is the same for every caller and tells nothing about anyone (T54).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
from pydantic import Field

from counterfoil.authority import Authority
from counterfoil.errors import BadArguments
from counterfoil.store import Principal
from counterfoil.values import Frozen
from counterfoil_server.conversation import wording
from counterfoil_server.conversation.answers import Answer, validated


class ExplainArguments(Frozen):
    """Which operation."""

    operation: str


class Explained(Frozen):
    """What an operation may ask of people."""

    operation: str
    title: str
    evidence: tuple[str, ...] = Field(description="What may be asked of people, weakest first; the policy chooses.")
    rules: tuple[str, ...] = Field(description="What the policy's rules say about it.")


class ExplainTool:
    """The tool, with every answer prepared."""

    def __init__(self, authority: Authority) -> None:
        judge = authority.judge
        self._answers: dict[str, Answer] = {}
        for operation in judge.desk.operations.values():
            explained = Explained(
                operation=operation.name,
                title=operation.title,
                evidence=wording.every(judge.desk.ladder_of(operation)),
                rules=judge.policy.outline(operation),
            )
            self._answers[operation.name] = Answer(_words(explained), explained.model_dump(mode="json"))
        self.definition = types.Tool(
            name="explain_requirements",
            title="Explain requirements",
            description=(
                "What people must do before an operation is carried out, in general. What one request needs is shown "
                "only to the people whom it concerns."
            ),
            input_schema={
                "type": "object",
                "properties": {
                    "operation": {
                        "type": "string",
                        "enum": list(self._answers),
                        "description": "The operation's name, without request_.",
                    }
                },
                "required": ["operation"],
                "additionalProperties": False,
            },
            output_schema=Explained.model_json_schema(mode="serialization"),
            annotations=types.ToolAnnotations(
                read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
            ),
        )

    async def call(self, principal: Principal, arguments: Mapping[str, Any]) -> Answer:
        """The prepared answer."""
        answer = self._answers.get(validated(ExplainArguments, arguments).operation)
        if answer is None:
            raise BadArguments("There is no operation of that name.", f"Use one of: {', '.join(self._answers)}.")
        return answer


def _words(explained: Explained) -> str:
    lines = [f"{explained.title} is carried out only after people confirm it outside this chat."]
    lines += ["What may be asked of them, weakest first:", *(f"- {clause}" for clause in explained.evidence)]
    if explained.rules:
        lines += ["The rules:", *(f"- {rule}" for rule in explained.rules)]
    return "\n".join(lines)
