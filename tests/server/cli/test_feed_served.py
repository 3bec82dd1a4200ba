"""The feed of a served process: the real command, its settings, and what a follower hears of what others did."""

from __future__ import annotations

import pytest

from server.cli.office import Office
from server.execution.follower import TOKEN, Follower

pytestmark = pytest.mark.anyio


@pytest.fixture
def following(office: Office) -> Office:
    office.settings("[feed]")
    return office


async def test_who_follows_a_served_desk_hears_at_once_what_an_administrator_barred(
    following: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERFOIL_FEED_TOKEN", TOKEN)
    with following.running("serve", "--no-notices") as served:
        follower = Follower.of(served.ready["serving"]["listening"], following.json("prove", "--trust"))
        await follower.read_all()
        assert not follower.memory.barred(["everything"])
        following.json("suspend", "everything", "--reason", "a drill")
        reading = await follower.read()
        assert reading.complete
        assert follower.memory.barred(["everything"])
        served.stop()
    # What was read goes on after a restart.
    with following.running("serve", "--no-notices") as served:
        follower.url = served.ready["serving"]["listening"]
        following.json("resume", "everything")
        await follower.read_all()
        assert not follower.memory.barred(["everything"])


async def test_each_executor_follows_by_a_token_of_its_own(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.settings("[feed.executors]", 'payments = "PAYMENTS"', 'shipping = "SHIPPING"')
    tokens = {"PAYMENTS": TOKEN, "SHIPPING": TOKEN[::-1]}
    for name, token in tokens.items():
        monkeypatch.setenv(name, token)
    monkeypatch.setenv("COUNTERFOIL_FEED_TOKEN", "z" * 32)  # not asked for here
    with office.running("serve", "--no-notices") as served:
        follower = Follower.of(served.ready["serving"]["listening"], office.json("prove", "--trust"))
        for token, status in ((TOKEN, 200), (TOKEN[::-1], 200), ("z" * 32, 401)):
            assert (await follower.ask(authorization=f"Bearer {token}")).status_code == status
    refused = office.run("serve", "--no-notices", "--json", SHIPPING=TOKEN)
    assert "the same token in PAYMENTS and in SHIPPING" in refused.error["happened"]


def test_a_feed_without_a_token_is_refused_at_start(following: Office) -> None:
    refused = following.run("serve", "--no-notices", "--json", COUNTERFOIL_FEED_TOKEN="short")
    assert (refused.code, refused.error["code"]) == (2, "settings_error")
    assert "COUNTERFOIL_FEED_TOKEN holds no token" in refused.error["happened"]
    assert "remove [feed]" in refused.error["remedy"]


def test_doctor_looks_for_the_token(following: Office) -> None:
    for token, status in (("short", "wrong"), (TOKEN, "ok")):
        checks = following.run("doctor", "--json", COUNTERFOIL_FEED_TOKEN=token).json
        [found] = [check for check in checks if check["check"] == "feed"]
        assert found["status"] == status, found
