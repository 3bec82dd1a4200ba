"""Every tool, through real clients of every protocol version."""

from __future__ import annotations

import pytest
from server.conversation.world import ERAS, World, call, words

MONEY = {"value": "12.50", "currency": "EUR"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_read_answers_what_the_organisation_returns(world: World, era: str) -> None:
    async with world.client(era) as session:
        result = await call(session, "tides", day="tomorrow")
        assert result.structured_content == {
            "harbour": "Smögen", "tides": [{"at": "06:12", "height": 31}, {"at": "18:40", "height": -4}],
        }  # fmt: skip
        plain = await call(session, "signal", flag="N", times=2)
        assert words(plain) == "N x2 up at 1.0"
        assert plain.structured_content == {"result": "N x2 up at 1.0"}
        assert (await call(session, "price", per=MONEY)).structured_content == {
            "value": "12.50", "currency": "EUR", "discount": None,
        }  # fmt: skip
