"""Many calls at once."""

from __future__ import annotations

import asyncio

from server.conversation.world import World, call


async def test_the_same_request_from_many_calls_at_once_is_one_ticket(world: World) -> None:
    async with world.client() as session, world.client("2025-11-25") as other:
        results = await asyncio.gather(
            *(call(client, "request_open_gate", account="B-1") for client in [session, other] * 10)
        )
    assert len({result.structured_content["ticket"] for result in results}) == 1
    assert len(await world.store.tickets()) == 1


async def test_each_caller_gets_its_own_answers(world: World) -> None:
    tokens = [world.token, *[await world.principal(f"agent-{number}") for number in range(3)]]

    async def converse(number: int, token: str) -> set[str]:
        found = set()
        async with world.client(token=token) as session:
            for nights in range(5):
                result = await call(
                    session, "request_refund_fee", account=f"X-{number}",
                    amount={"value": "1.00", "currency": "EUR"}, nights=nights,
                )  # fmt: skip
                found.add(str(result.structured_content["ticket"]))
                assert (await call(session, "signal", flag=token[-4:])).structured_content == {
                    "result": f"{token[-4:]} x1 up at 1.0"
                }
        return found

    found = await asyncio.gather(*(converse(number, token) for number, token in enumerate(tokens)))
    assert len(set().union(*found)) == 20
    for number, token in enumerate(tokens):
        async with world.client(token=token) as session:
            for ticket in found[number]:
                assert not (await call(session, "ticket_status", ticket=ticket)).is_error
            for ticket in found[(number + 1) % len(tokens)]:
                assert (await call(session, "ticket_status", ticket=ticket)).is_error
