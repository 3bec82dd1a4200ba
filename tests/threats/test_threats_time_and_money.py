"""T45 to T48 and T50: limits, policies, killed and second processes, clocks and backups."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from story_set import INES, MARIA

from counterfoil.errors import PolicyError, TamperDetected
from counterfoil.testing import Answer
from counterfoil_server.cli.inspection import accept_log
from stories.running_desk import EXAMPLE
from threats.siege import REFUSED, Prepared, Siege, besieged, settings_of

TESTS = Path(__file__).resolve().parents[1]


async def test_T45_many_small_amounts_weigh_as_much_as_one_large(siege: Siege) -> None:
    # At once: those that still wait count when it is found what the next one needs.
    first, second = await siege.refund("49.00"), await siege.refund("49.00", order="NL-26024")
    needs = [str((await siege.desk.ticket(asked["ticket"]))["requirements"]) for asked in (first, second)]
    assert ["finance" in each for each in needs] == [False, True]
    # One after another, with a lower requirement frozen than is due by the time it is redeemed.
    small = await siege.credit("20.00", account=INES.email)
    capability = await siege.approved(small, INES)
    same = "principal, account, operation, delivery, requested_at, expires_at, request_leaf"
    siege.edit(
        f"INSERT INTO ticket (id, state, redeemed_at, currency, amount, dedupe, effect, {same})"
        f" SELECT 'cf_earlier', 'executed', requested_at, 'EUR', 200000, 'other', 2, {same} FROM ticket WHERE id = ?",
        small["ticket"],
    )
    assert REFUSED in (await siege.redeem(small, capability)).words
    # Not in another currency either.
    for amount in ({"value": "49.00", "currency": "KWD"}, {"value": "0.01", "currency": "JPY"}):
        asked = await siege.ai.call("request_refund", account="C-1003", order_id="NL-26014", amount=amount)
        assert (await siege.desk.ticket(asked["ticket"]))["requirements"] == []
    assert siege.desk.books.unchanged


async def test_T45_the_executor_adds_up_what_it_ran_itself(siege: Siege) -> None:
    first = await siege.credit("20.00")
    assert (await siege.redeem(first, await siege.approved(first)))["status"] == "executed"
    # Whoever writes the database makes the first one forgotten, so that the second looks like the only one.
    siege.edit("UPDATE ticket SET amount = 0, currency = NULL, effect = NULL")
    second = await siege.credit("19.00")
    answer = await siege.redeem(second, await siege.approved(second))
    assert answer["status"] == "not_executed"
    assert [row[2] for row in siege.desk.books.read().journals["credit_entries"]] == [2000]


ODD = {
    "more evidence loses permission": ("forbid", "context.staff.finance >= 1"),
    "no code is worth more than one": ("permit", "!context.code_typed"),
    "a warning gives permission": ("permit", "context.tainted"),
    "exactly one": ("permit", "context.staff.finance == 1"),
    "less waiting": ("permit", "context.waited < 60"),
}


@pytest.mark.parametrize(("effect", "condition"), ODD.values(), ids=ODD)
async def test_T46_a_policy_that_turns_weaker_evidence_into_more_is_refused(
    prepared: Prepared, tmp_path: Path, effect: str, condition: str
) -> None:
    rule = f'@id("Odd.") {effect} (principal, action == Action::"goodwill_credit", resource) when {{ {condition} }};'
    with pytest.raises(PolicyError):
        async with besieged(prepared, tmp_path, policy=rule):
            pass


async def test_T47_killed_between_effect_and_record_it_is_unknown_and_never_run_again(
    prepared: Prepared, tmp_path: Path
) -> None:
    shutil.copytree(prepared.folder, tmp_path, dirs_exist_ok=True)
    descriptor = prepared.listener.fileno()
    ran = subprocess.run(
        [sys.executable, "-m", "threats.killed", str(tmp_path), str(descriptor)],
        pass_fds=[descriptor], env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    told = json.loads(ran.stdout)
    asked = Answer(True, "", told)
    for _ in range(2):
        async with besieged(prepared, tmp_path) as siege:
            await siege.as_requester_of(asked)
            status = await siege.ai.outcome(asked["ticket"])
            assert (status["status"], status.values["executed"]) == ("unknown", None)
            assert REFUSED in (await siege.redeem(asked, told["capability"])).words
            await siege.stolen_order(asked)
            await siege.desk.parts.dispatcher.settle()
            await siege.desk.parts.engine.settle()
            assert siege.vouchers == [asked["ticket"]]


def environment() -> dict[str, str]:
    """For a process of its own."""
    path = [str(TESTS), str(EXAMPLE), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path)), "NO_COLOR": "1"}


async def test_T48_a_second_process_is_refused_and_disturbs_nothing(siege: Siege) -> None:
    settings = siege.desk.parts.configuration.settings
    lines = [f'{name} = "{getattr(settings, name)}"' for name in ("desk", "policy", "public_url")]
    (siege.folder / "counterfoil.toml").write_text("\n".join([*lines, "port = 0", ""]))
    asked = await siege.voucher()
    before = siege.dump()
    second = subprocess.run(
        [sys.executable, "-m", "counterfoil_server.cli", "serve", "--no-notices", "--json"],
        cwd=siege.folder, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1, second.stderr
    error = json.loads(second.stdout)["error"]
    assert error["code"] == "state_folder_in_use"
    assert str(os.getpid()) in error["happened"]
    assert siege.dump() == before
    assert (await siege.redeem(asked, await siege.approved(asked)))["status"] == "executed"
    assert siege.vouchers == [asked["ticket"]]


async def test_T50_a_clock_set_back_revives_nothing(prepared: Prepared, tmp_path: Path) -> None:
    async with besieged(prepared, tmp_path) as siege:
        asked = await siege.voucher()
        link = await siege.link(MARIA)
        await (await siege.browser_of(MARIA)).open_and_decide(link, "approve", asked["match_code"])
        capability = await siege.capability(asked)
        siege.desk.clock.move(601)
        assert REFUSED in (await siege.redeem(asked, capability)).words
        siege.desk.clock.move(-601)
        assert REFUSED in (await siege.redeem(asked, capability)).words
        assert (await (await siege.stranger()).http.get(link)).status_code == 410
        await siege.voucher("6.00")
    async with besieged(prepared, tmp_path) as siege:
        await siege.as_requester_of(asked)
        assert REFUSED in (await siege.redeem(asked, capability)).words
        assert (await (await siege.stranger()).http.get(link)).status_code == 410
        assert siege.vouchers == []


async def test_T50_a_restored_backup_does_not_run_again_what_ran(prepared: Prepared, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    async with besieged(prepared, tmp_path) as siege:
        asked = await siege.voucher()
        capability = await siege.approved(asked)
        with closing(sqlite3.connect(siege.database)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        assert (await siege.redeem(asked, capability))["status"] == "executed"
    for rest in siege.database.parent.glob("counterfoil.db*"):
        rest.unlink()
    backup.rename(siege.database)
    with pytest.raises(TamperDetected, match="it was cut, or is an older copy"):
        async with besieged(prepared, tmp_path):
            pytest.fail("it was served")
    await anyio.to_thread.run_sync(accept_log, settings_of(tmp_path, prepared.listener.getsockname()[1]))
    async with besieged(prepared, tmp_path) as siege:
        await siege.as_requester_of(asked)
        assert await siege.state(asked) == "approved"
        await siege.redeem(asked, capability)
        await siege.redeem(asked, await siege.capability(asked))
        await siege.stolen_order(asked)
        assert siege.vouchers == [asked["ticket"]]
