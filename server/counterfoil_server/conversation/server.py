"""The MCP server: one desk, spoken over Streamable HTTP and pipes to clients of every protocol version in the field.

Clients of 2026-07-28 send self-contained requests; older ones open with ``initialize``, and are served without
sessions too, so that no state is kept between two requests of anyone. Each call is authorized by the token it carries;
over a pipe (stdio), by who the operating system says is at its other end.

What a tool call costs beyond the MCP library is kept small, because reads are the common case: tools, schemas and
validators are prepared, calls are recorded later, nothing is logged per call.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import mcp_types as types
from anyio.abc import ByteStream
from mcp.server import Server
from mcp.server.context import ServerMiddleware
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from starlette.types import ASGIApp, Receive, Scope, Send

from counterfoil.authority import Authority
from counterfoil.errors import CounterfoilError, UnknownTool
from counterfoil.store import Principal
from counterfoil_server.conversation.answers import refused
from counterfoil_server.conversation.catalogue import Catalogue
from counterfoil_server.conversation.elicitation import Context, Elicitation, Result
from counterfoil_server.conversation.intake import MESSAGE, PRINCIPAL, Intake
from counterfoil_server.conversation.local_principal import LocalPrincipals
from counterfoil_server.conversation.pipe import Pipe
from counterfoil_server.conversation.principals import Principals
from counterfoil_server.conversation.recorder import Recorder
from counterfoil_server.conversation.tickets import RunOrder
from counterfoil_server.conversation.waiting import wants_stream
from counterfoil_server.conversation.wording import instructions
from counterfoil_server.json_rpc import MAX_BODY

if TYPE_CHECKING:
    from counterfoil.turns import TurnStore

logger = logging.getLogger(__name__)

Middleware = Callable[[Collection[str]], ServerMiddleware[Any]]
"""Makes a middleware of the MCP server, given the names of the tools. It may look on; it is no place for checks."""


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
    without one, digests of two runs of the server cannot be compared. ``page_of`` answers the address of a ticket's
    page that its requester may be given; without it, none is offered. ``watched`` looks on at the calls.
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
        page_of: Callable[[str], str] | None = None,
        watched: Middleware | None = None,
    ) -> None:
        self._authority = authority
        self._principals = Principals(authority.store)
        self._allowed_hosts = allowed_hosts
        self._local_principals = LocalPrincipals(authority.store)
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
        # In place of the library's own tracing, which tells whoever collects it what callers chose: names, ids, errors.
        self._server.middleware[:] = [watched(self.tool_names)] if watched is not None else []
        self._elicitation = Elicitation(page_of) if page_of is not None else None
        self._waits = frozenset({self._catalogue.redeem.definition.name} if self._catalogue.redeem else ())
        security = TransportSecuritySettings(allowed_hosts=list(allowed_hosts), allowed_origins=list(allowed_origins))
        self._documents, self._streams = (
            StreamableHTTPSessionManager(
                self._server,
                stateless=True,
                json_response=as_json,
                security_settings=security,
                max_request_body_size=MAX_BODY,
            )
            for as_json in (True, False)
        )

    @property
    def tool_names(self) -> Collection[str]:
        """What is offered; the same for as long as the server runs."""
        return self._tools.keys()

    def asgi_app(self) -> ASGIApp:
        """The application for one path, whole: intake, authentication and protocol. Enter :meth:`lifespan` first.

        Give it to ``starlette.routing.Route("/mcp", endpoint=…)``.
        """
        return Intake(self._answer, self._principals)

    def turns_app(self, store: TurnStore) -> ASGIApp:
        """The application for everything below ``/conversations/``, where hosts tell what was said; whole likewise."""
        from counterfoil_server.conversation.turns import TurnIntake  # most desks are told of no turns

        return TurnIntake(self._authority, store, self._principals, self._allowed_hosts)

    async def serve_pipe(self, stream: ByteStream, uid: int) -> None:
        """Serve one client that sends a message a line, for the user ``uid`` of this machine, until either is gone."""
        await Pipe(self._server, stream, lambda: self._local_principals.of(uid)).serve()

    def forget_principals(self) -> None:
        """Call it when a principal was disabled: its next call is refused."""
        self._principals.forget()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Serve while entered, once. On the way out redemptions end and every call is recorded."""
        async with self.recorder.running(), self._documents.run(), self._streams.run():
            yield
            if self._catalogue.redeem is not None:
                await self._catalogue.redeem.settle()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = self._streams if wants_stream(scope, scope[MESSAGE], self._waits) else self._documents
        await manager.handle_request(scope, receive, send)

    async def _list(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return self._catalogue.list

    async def _call(self, ctx: Context, params: types.CallToolRequestParams) -> Result:
        principal = _caller(ctx)
        ticket: str | None = None
        status = "cancelled"
        try:
            tool = self._tools.get(params.name)
            if tool is None:
                status = "unknown_tool"
                unknown = UnknownTool()
                raise MCPError(code=types.INVALID_PARAMS, message=str(unknown), data=unknown.to_dict())
            arguments = params.arguments or {}
            if tool is self._catalogue.redeem:
                answer = await self._catalogue.redeem.call(principal, arguments, ctx.session.report_progress)
            else:
                answer = await tool.call(principal, arguments)
            ticket, status = answer.ticket, "ok"
            if self._elicitation is None:
                return answer.to_result()
            return await self._elicitation.around(ctx, params, answer)
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


def _caller(ctx: Context) -> Principal:
    """Whom the intake, or a pipe, found to be calling; there is no other way in."""
    if isinstance(ctx.request, Principal):
        return ctx.request
    assert ctx.request is not None  # noqa: S101 - the intake is the only other way in
    found: Principal = ctx.request.scope[PRINCIPAL]
    return found
