"""A process that serves the desk, lets a voucher be sent honestly, and is killed before it can record that it was.

``python -m threats.killed FOLDER DESCRIPTOR``, with a listening socket; prints the ticket and its capability before.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import anyio
from story_cast import Role
from story_set import eur

from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from stories.running_desk import MovableClock, serving
from threats.siege import ASKED, invitation, settings_of

ROLE = Role("Maria's second passkey", ("C-1001",), (), "maria@killed.example")

DIES = """
import os, signal

post = desk.operations["send_voucher"]
send = post.run


async def send_and_die(execution, **arguments):
    await send(execution, **arguments)
    os.kill(os.getpid(), signal.SIGKILL)


post.run = send_and_die
"""


async def main(folder: Path, descriptor: int) -> None:
    """Serve, ask, approve, redeem; does not return."""
    with socket.socket(fileno=descriptor) as listening:
        settings = settings_of(folder, listening.getsockname()[1], alter=DIES)
        async with serving(settings, listening, MovableClock()) as desk:
            async with PageClient(desk.base_url, SoftwareAuthenticator()) as maria:
                await maria.enrol(await invitation(desk, ROLE))
                ai = await desk.assistant()
                asked = await ai.call("request_send_voucher", account="C-1001", amount=eur("5.00"), text="Sorry")
                link = (await desk.message(ROLE.email, ASKED)).link
                await maria.open_and_decide(link or "", "approve", asked["match_code"])
            capability = (await ai.call("ticket_status", ticket=asked["ticket"]))["capability"]
            print(json.dumps({"ticket": asked["ticket"], "capability": capability}), flush=True)
            await ai.call("redeem_ticket", ticket=asked["ticket"], capability=capability)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
