"""Reading what browsers send: bounded, of the declared type, strict, and of exactly the expected shape."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from counterfoil.canonical import canonical, parse_strict
from counterfoil.errors import BadArguments
from counterfoil_server.verification.refusals import RequestRefused

MAX_BODY = 64 * 1024
"""Bytes; a registration with attestation has about 2 KiB."""

MAX_FIELDS = 8

Model = TypeVar("Model", bound=BaseModel)


async def body_of(request: Request, content_type: str) -> bytes:
    """The body; raises :class:`RequestRefused` for another content type (415) or more than 64 KiB (413)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != content_type:
        raise RequestRefused(415, "The request is of a type that this page does not send.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RequestRefused(413, "The request is too large.")
    return bytes(body)


async def json_of(request: Request, model: type[Model]) -> Model:
    """The strict JSON body as ``model``; raises BadJSON, BadArguments or :class:`RequestRefused`."""
    value = parse_strict(await body_of(request, "application/json"))
    try:
        return model.model_validate_json(canonical(value))
    except ValidationError:
        raise BadArguments("The page sent something unexpected.", "Open the link from your message again.") from None


async def form_of(request: Request) -> dict[str, str]:
    """The fields of an HTML form; raises :class:`RequestRefused` for unreadable or repeated ones."""
    body = await body_of(request, "application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RequestRefused(400, "The form cannot be read.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RequestRefused(400, "The form holds a field twice.")
    return fields
