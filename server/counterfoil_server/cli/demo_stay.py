"""What ``demo --stay`` offers: a token, lines to paste into AI clients, the mailbox, and an address to enrol for each
person of the story. What an earlier start left is used again, but secrets are never shown a second time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from counterfoil_server.cli import invitations
from counterfoil_server.cli.console import Output, counted
from counterfoil_server.cli.invitations import Call, Invited
from counterfoil_server.config import Configuration

NAME = "demo"


async def offer(call: Call, configuration: Configuration, people: Sequence[Invited], code: str) -> dict[str, Any]:
    """Make what is missing, and answer everything as JSON."""
    taken = {each["principal"] for each in await call("principals_list", {})}
    names = [NAME, *(f"{NAME}-{number}" for number in range(2, len(taken) + 3))]
    added = await call("principals_add", {"name": next(name for name in names if name not in taken)})
    public = configuration.settings.public_url
    return {
        "mcp": f"{public}/mcp",
        "principal": added["principal"],
        "token": added["token"],
        "first": NAME not in taken,
        "stdio": {
            "command": sys.executable,
            "args": ["-m", "counterfoil_server.cli", "--config", str(configuration.path), "serve", "--stdio"],
        },
        "mailbox": f"{public}/mailbox",
        "operator_code": code,
        "people": [await _person(call, configuration, person) for person in people],
    }


async def _person(call: Call, configuration: Configuration, wanted: Invited) -> dict[str, Any]:
    """Known people keep their passkeys; whoever has none yet is invited anew."""
    known = [each for each in await call("people_list", {}) if each["name"] == wanted.name and not each["disabled"]]
    described: dict[str, Any] = {"name": wanted.name, "accounts": list(wanted.accounts), "roles": list(wanted.roles)}
    if known and known[0]["passkeys"]:
        return described | {"person": known[0]["person"], "passkeys": known[0]["passkeys"], "url": None}
    if known:
        wanted = replace(wanted, person=known[0]["person"])
    enrolment = await invitations.invite(call, configuration, wanted)
    return described | {"person": enrolment.person, "passkeys": 0, "url": enrolment.url}


def show(output: Output, desk: str, offered: dict[str, Any]) -> None:
    """The same for people."""
    url, authorization = offered["mcp"], f"Bearer {offered['token']}"
    headers = {"Authorization": authorization}
    output.say((desk, "heading"), " is running as a demo: it sends no e-mail. Stop it with Ctrl-C.")
    if not offered["first"]:
        output.hint(
            f"Tokens of earlier starts are not kept; this is a new one, {offered['principal']}. The earlier ones still"
            " work until you disable them: ",
            ("counterfoil principals disable NAME", "command"),
        )
    output.heading("1. Connect an AI client")
    output.fields([("MCP", url), ("Token", offered["token"])])
    output.say("Claude Code:")
    output.paste(f'claude mcp add --transport http counterfoil {url} --header "Authorization: {authorization}"')
    output.say("VS Code, in .vscode/mcp.json:")
    output.paste(json.dumps({"servers": {"counterfoil": {"type": "http", "url": url, "headers": headers}}}))
    output.say("Cursor, in .cursor/mcp.json:")
    output.paste(json.dumps({"mcpServers": {"counterfoil": {"url": url, "headers": headers}}}))
    output.say("Claude Desktop, in claude_desktop_config.json (it starts this by itself, without a token):")
    output.paste(json.dumps({"mcpServers": {"counterfoil": offered["stdio"]}}))
    output.heading("2. Be the people who decide")
    for person in offered["people"]:
        roles = [f"role {role}" for role in person["roles"]]
        held = ", ".join([f"account {account}" for account in person["accounts"]] + roles)
        if person["url"] is None:
            output.say(f"{person['name']} ({held}) has {counted(person['passkeys'], 'passkey')} from an earlier start.")
        else:
            output.say(f"{person['name']} ({held}) makes a passkey here, once:")
            output.paste(person["url"])
    if not offered["people"]:
        output.say("The settings name nobody. Invite an account's holder or a colleague, in another terminal:")
        output.paste("counterfoil people invite NAME --email ADDRESS --account ACCOUNT")
        output.paste("counterfoil people invite NAME --email ADDRESS --role ROLE")
        output.say("Each prints an address at which that person makes a passkey.")
    output.heading("3. Read their messages")
    output.fields([("Mailbox", offered["mailbox"]), ("Operator code", offered["operator_code"])])
