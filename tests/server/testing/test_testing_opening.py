"""Opening a desk in a test: from settings or in hand, as strictly as it is served."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from counterfoil.errors import PolicyError, SettingsError
from counterfoil.testing import money, open_desk
from server.testing.gym import POLICY, Gym, gym_desk


async def test_a_desk_is_opened_by_its_settings_with_a_candidate_for_its_policy(tmp_path: Path) -> None:
    home, state = tmp_path / "home", tmp_path / "state"
    home.mkdir()
    state.mkdir()
    (home / "gym_of_this_test.py").write_text("from server.testing.gym import Gym, gym_desk\ndesk = gym_desk(Gym())\n")
    (home / "policy.cedar").write_text(POLICY)
    (home / "counterfoil.toml").write_text(
        'desk = "gym_of_this_test:desk"\npolicy = "policy.cedar"\npublic_url = "https://gym.example"\n'
        'trust_client_isolation = true\n[smtp]\nhost = "mail.example"\nsender = "gym@gym.example"\n'
    )
    async with open_desk(home / "counterfoil.toml", state, settings={"times": {"ticket": 60}}) as desk:
        asked = await desk.ai.request("pause", account="M-1")
        await desk.advance(minutes=1)
        assert (await desk.settled(asked)).state == "expired"
    assert sorted(path.name for path in home.iterdir() if path.suffix) == [
        "counterfoil.toml",
        "gym_of_this_test.py",
        "policy.cedar",
    ]
    (state / "second").mkdir()
    locked = POLICY.replace("when { resource.facts.locked }", "")
    async with open_desk(str(home / "counterfoil.toml"), state / "second", policy=locked) as desk:
        asked = await desk.ai.request("pause", account="M-1")
        assert (await desk.settled(asked)).refusal == "Nothing on a locked account."


async def test_what_serve_would_refuse_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        async with open_desk(gym_desk(Gym()), tmp_path, policy="permit (principal, action, resource) when { x };"):
            pass
    with pytest.raises(SettingsError, match="no policy"):
        async with open_desk(gym_desk(Gym()), tmp_path):
            pass
    with pytest.raises(SettingsError, match="cannot set port"):
        async with open_desk(gym_desk(Gym()), tmp_path, policy=POLICY, settings={"port": 1}):
            pass


async def test_a_desk_may_be_closed_by_another_task_than_opened_it(tmp_path: Path) -> None:
    """As some runners do with fixtures."""
    context = open_desk(gym_desk(Gym()), tmp_path, policy=POLICY)
    desk = await asyncio.create_task(context.__aenter__())
    assert await asyncio.create_task(desk.ai.read("opening_hours")) == "always"
    await asyncio.create_task(context.__aexit__(None, None, None))


async def test_a_connector_that_never_ends_is_told_instead_of_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gym = Gym(free=asyncio.Event())
    async with open_desk(gym_desk(gym), tmp_path, policy=POLICY) as desk:
        ada = await desk.enrol("Ada", account="M-1")
        asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
        await ada.approves(asked)
        await gym.busy.wait()
        monkeypatch.setattr("counterfoil_server.testing.desk.PATIENCE", 0.2)
        with pytest.raises(TimeoutError, match=f"Executing: {asked.ticket}"):
            await desk.settled(asked)
        assert gym.free is not None
        gym.free.set()
        monkeypatch.undo()
        assert (await desk.settled(asked)).state == "executed"
