"""The measure: a bare server on the same SDK that offers the same tools over the same shop's records, and nothing else.

It answers two of them; the others are there to be listed, as the desk's are. Whose membership is read the caller names.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel.server import Server
from pydantic import BaseModel
from starlette.applications import Starlette

sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "support_desk"))

# Everything that the shop itself is made of; of these modules none knows Counterfoil.
import colleagues  # noqa: F401
import invoices  # noqa: F401
import reviews  # noqa: F401
import sign_in  # noqa: F401
import store_credit  # noqa: F401
from business import Business
from memberships import BENEFITS, Memberships, in_words


class OpenDay(BaseModel):
    """When the shop is open on one day."""

    day: str
    opens: str
    closes: str


class Hours(BaseModel):
    """When the shop is open."""

    days: list[OpenDay]


class Member(BaseModel):
    """A customer's membership."""

    membership: str
    benefits: str


def bare_app(database: Path, tools: types.ListToolsResult) -> Starlette:
    """The bare server over a shop's database; ``tools`` are the desk's, as its own server lists them."""
    shop = Business(database)
    memberships = Memberships(shop)

    def opening_hours() -> Hours:
        return Hours(days=[OpenDay(day=day, opens=opens, closes=closes) for day, opens, closes in shop.opening_hours()])

    def membership(customer: str) -> Member:
        found = memberships.membership_of(customer)
        return Member(membership=in_words(found), benefits=BENEFITS[found.tier])

    answered: dict[str, Callable[..., BaseModel]] = {"opening_hours": opening_hours, "membership": membership}

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return tools

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        structured = answered[params.name](**params.arguments or {}).model_dump(mode="json")
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=json.dumps(structured))], structured_content=structured
        )

    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    return server.streamable_http_app(json_response=True, stateless_http=True)


def main() -> None:
    """Serve on the port given; the second argument is a file with the result of tools/list."""
    tools = types.ListToolsResult.model_validate_json(Path(sys.argv[2]).read_bytes())
    app = bare_app(Path(os.environ["SUPPORT_DESK_DATABASE"]), tools)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
