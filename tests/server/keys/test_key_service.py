"""Keys that never leave a service: the sketch of ``docs/how-to/keys.md`` asks a real one in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from counterfoil.errors import SettingsError, SignerFailed
from counterfoil.keys import SigningKey
from counterfoil.tickets import State
from counterfoil_server import authority_keys, config
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Invited
from docs.snippets import ROOT, files
from server.cli.conftest import office, program
from server.cli.office import Office
from server.cli.stopped_desk import Stopped, paid

__all__ = ["office", "program"]

SKETCH = files(ROOT / "docs" / "how-to" / "keys.md")["signing.py"]
SERVICE = Path(__file__).with_name("transit_service.py")
TOKEN = "s.of-the-desk"


@dataclass(frozen=True)
class Service:
    """The process, and what it said of itself."""

    process: subprocess.Popen[str]
    address: str
    public: dict[str, str]


@pytest.fixture
def service() -> Iterator[Service]:
    command = [sys.executable, str(SERVICE), TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Service(process, **json.loads(process.stdout.readline()))
        process.kill()


@pytest.fixture
def environment(service: Service) -> dict[str, str]:
    return {"VAULT_ADDR": service.address, "VAULT_TOKEN": TOKEN}


@pytest.fixture
def desk(office: Office, service: Service, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office whose authority signs as the page shows."""
    for module in ("desk", "signing"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    office.write("signing.py", SKETCH)
    for version, text in service.public.items():
        office.write(f"authority-{version}.pem", text)
    office.settings("[keys]", 'authority = "signing:ring"', "[times]", "signature = 2")
    return office


async def test_a_desk_signs_and_pays_with_a_key_that_another_process_holds(desk: Office, service: Service) -> None:
    stopped = Stopped(desk, {})
    async with stopped.parts() as parts:
        ana = await invitations.invite(
            parts.administration.call, parts.configuration, Invited("Ana", ("A-1",), (), ("ana@office.example",))
        )
        await stopped.enrol(parts, "ana", ana.url)
        assert await stopped.pays(parts, "ana", "20.00") is State.EXECUTED
        ring = parts.authority.keys
        assert not any(isinstance(signer, SigningKey) for signer in ring.places.values())

        # The service stops answering, as a process that hangs does; then it goes on.
        service.process.send_signal(signal.SIGSTOP)
        with pytest.raises(SignerFailed, match="did not answer within 2 seconds"):
            await stopped.pays(parts, "ana", "30.00")
        assert paid(desk) == 1
        service.process.send_signal(signal.SIGCONT)
        await parts.dispatcher.look()
        await parts.engine.settle()
        assert paid(desk) == 2

        # It ends, and nobody listens at its address.
        service.process.kill()
        service.process.wait()
        with pytest.raises(SignerFailed, match="could not be reached"):
            await stopped.pays(parts, "ana", "40.00")
        assert paid(desk) == 2
        await sys.modules["signing"].vault.aclose()
    assert {path.name for path in (desk.state / "keys").iterdir()} == {"log.pem", "secret", "trust.json"}


def test_doctor_has_it_sign_and_says_when_it_is_another_key(
    desk: Office, service: Service, environment: dict[str, str]
) -> None:
    def signing() -> tuple[str, str]:
        checks = desk.run_in(environment, "doctor", "--json").json
        [found] = [check for check in checks if check["check"] == "signing"]
        return found["status"], found["says"]

    [current, following, _] = desk.run_in(environment, "keys", "list", "--json").json
    assert (current["place"], following["place"]) == ("current", "next")
    assert signing() == ("ok", f"signing with {current['key']}")
    desk.write("authority-1.pem", service.public["2"])
    desk.write("authority-2.pem", service.public["1"])
    status, says = signing()
    assert status == "wrong"
    assert f"does not sign with the key {following['key']}" in says


def test_a_rotation_is_made_where_the_keys_are(desk: Office, environment: dict[str, str]) -> None:
    ran = desk.run_in(environment, "keys", "rotate", width=300)
    assert ran.code == 1
    assert "Change the ring in signing:ring and start the server again." in ran.said


WRONG = {
    "no module": ("missing:ring", "", "there is no module missing"),
    "it fails": ("signing:ring", "1 / 0\n", "ZeroDivisionError"),
    "no variable": ("signing:rings", "", "there is no variable rings"),
    "no ring": ("signing:ring", "ring = 5\n", "is not a KeyRing but int"),
    "no public key": ("signing:ring", "ring.current.public = None\n", "has no public key of its id"),
    "another id": ("signing:ring", "ring.next.id = 'K1'\n", "the next key of signing:ring has no public key of its id"),
    "not asynchronous": ("signing:ring", "TransitKey.sign = lambda self, digest: b''\n", "has no 'async def sign"),
    "no place at all": ("vault", "", "is 'vault', which is no place for keys"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_ring_that_cannot_sign_is_refused_at_the_start(desk: Office, wrong: str) -> None:
    setting, more, said = WRONG[wrong]
    desk.write("signing.py", SKETCH + more)
    desk.settings("[keys]", f'authority = "{setting}"')
    with pytest.raises(SettingsError) as caught:
        authority_keys.load(config.load(desk.folder / "counterfoil.toml"), fresh=True)
    assert said in caught.value.happened
    assert "counterfoil.toml" in caught.value.happened or "signing.py" in caught.value.happened
