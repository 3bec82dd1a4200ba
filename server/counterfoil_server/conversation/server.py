"""The MCP server: one desk, spoken over Streamable HTTP to clients of every protocol version in the field.

Clients of 2026-07-28 send self-contained requests; older ones open with ``initialize``, and are served without
sessions too, so that no state is kept between two requests of anyone. Each call is authorized by the token it carries.

What a tool call costs beyond the MCP library is kept small, because reads are the common case: tools, schemas and
validators are prepared, calls are recorded later, nothing is logged per call.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from starlette.types import ASGIApp

from counterfoil.authority import Authority
from counterfoil.errors import CounterfoilError, UnknownTool
from counterfoil.store import Principal
from counterfoil_server.conversation.answers import refused
from counterfoil_server.conversation.catalogue import Catalogue
from counterfoil_server.conversation.intake import MAX_BODY, PRINCIPAL, Intake
from counterfoil_server.conversation.principals import Principals
from counterfoil_server.conversation.recorder import Recorder
from counterfoil_server.conversation.tickets import RunOrder
from counterfoil_server.conversation.wording import instructions

logger = logging.getLogger(__name__)

Context = ServerRequestContext[dict[str, Any], Any]


class InternalError(CounterfoilError):
    """Something failed that should not; the log holds it under the reference."""

    code = "internal_error"
    happened_default = "Something went wrong inside the server."
    remedy_default = "Try again once; then tell the user that it does not work at the moment."


class Conversation:
    """Layer 1: what an AI talks to.

    ``allowed_hosts`` and ``allowed_origins`` are the Host and Origin headers that are accepted (``host:port``;
    ``host:*`` for any port), against DNS rebinding. ``run_order`` runs a redeemed order to its end; ``wake`` says that
    there may be messages to deliver. ``arguments_key`` (32 bytes) keys the digests under which arguments are recorded;
    without one, digests of two runs of the server cannot be compared.
    """

    def __init__(
        self,
        authority: Authority,
        *,
        organisation: str,
        allowed_hosts: Sequence[str],
        allowed_origins: Sequence[str],
        run_order: RunOrder,
        wake: Callable[[], None],
        version: str,
        arguments_key: bytes | None = None,
    ) -> None:
        self._principals = Principals(authority.store)
        self.recorder = Recorder(authority.store, arguments_key)
        self._catalogue = Catalogue(authority, run_order=run_order, wake=wake)
        self._tools = self._catalogue.tools
        self._server: Server[dict[str, Any]] = Server(
            "counterfoil",
            title=organisation,
            version=version,
            instructions=instructions(organisation, self._catalogue.redeem is not None),
            get_tool_input_schema=self._catalogue.schema_with_headers,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )
        self._manager = StreamableHTTPSessionManager(
            self._server,
            stateless=True,
            json_response=True,
            security_settings=TransportSecuritySettings(
                allowed_hosts=list(allowed_hosts), allowed_origins=list(allowed_origins)
            ),
            max_request_body_size=MAX_BODY,
        )

    def asgi_app(self) -> ASGIApp:
        """The application for one path, whole: intake, authentication and protocol. Enter :meth:`lifespan` first.

        Give it to ``starlette.routing.Route("/mcp", endpoint=…)``.
        """
        return Intake(self._manager.handle_request, self._principals)

    def forget_principals(self) -> None:
        """Call it when a principal was disabled: its next call is refused."""
        self._principals.forget()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Serve while entered, once. On the way out redemptions end and every call is recorded."""
        async with self.recorder.running(), self._manager.run():
            yield
            if self._catalogue.redeem is not None:
                await self._catalogue.redeem.settle()

    async def _list(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return self._catalogue.list

    async def _call(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        assert ctx.request is not None  # noqa: S101 - the intake is the only way in
        principal: Principal = ctx.request.scope[PRINCIPAL]
        ticket: str | None = None
        status = "cancelled"
        try:
            tool = self._tools.get(params.name)
            if tool is None:
                status = "unknown_tool"
                unknown = UnknownTool()
                raise MCPError(code=types.INVALID_PARAMS, message=str(unknown), data=unknown.to_dict())
            answer = await tool.call(principal, params.arguments or {})
            ticket, status = answer.ticket, "ok"
            return answer.to_result()
        except CounterfoilError as error:
            status = error.code
            return refused(error)
        except MCPError:
            raise
        except Exception:
            status, reference = "internal_error", secrets.token_hex(6)
            logger.exception("A call of %s failed (reference %s)", params.name[:100], reference)
            return refused(InternalError(f"Something went wrong inside the server (reference {reference})."))
        finally:
            self.recorder.record(principal.id, params.name, params.arguments, ticket=ticket, status=status)
