"""``delegates``, in the real program: a key that invites, what it is refused, and its end."""

from __future__ import annotations

from server.cli.office import Office

INVITE = ("people", "invite")


def test_a_delegate_invites_until_it_is_ended(office: Office) -> None:
    key = office.folder / "service.pem"
    said = office.run("delegates", "add", "the sign-in service", "--key", str(key), "--role", "finance", width=200)
    assert said.code == 0, said.said
    assert "the sign-in service as a delegate until" in said.out
    assert "service.pem, made just now;" in said.said
    assert key.stat().st_mode & 0o777 == 0o600
    [delegate] = office.json("delegates", "list")
    assert (delegate["name"], delegate["roles"], delegate["ended"]) == ("the sign-in service", ["finance"], False)
    listed = office.run("delegates", "list", width=100).out
    assert delegate["key"] in listed
    assert "\\u{" not in listed

    # The roster key may lie in its safe meanwhile.
    roster_key = office.folder / "roster-key.pem"
    kept = roster_key.read_bytes()
    roster_key.unlink()
    invited = office.json(
        *INVITE, "Cyd", "--email", "cyd@office.example", "--account", "A-2", "--role", "finance", "--key", str(key)
    )
    assert [person["person"] for person in office.json("people", "list")] == [invited["person"]]
    roster_key.write_bytes(kept)
    roster_key.chmod(0o600)

    assert office.json("delegates", "end", delegate["key"], "--yes")["ended"]
    refused = office.run(*INVITE, "Dan", "--email", "dan@office.example", "--account", "A-1", "--key", str(key))
    assert refused.code != 0
    assert "by a delegate whose time is over" in refused.said
    assert "Let the roster key sign it" in refused.said
    assert len(office.json("people", "list")) == 1
    assert "ended" in office.run("delegates", "list").out
    assert "is ended already" in office.run("delegates", "end", delegate["key"], "--yes").said


def test_a_delegate_changes_nobody_whom_the_roster_key_invited(office: Office) -> None:
    key = office.folder / "service.pem"
    office.json("delegates", "add", "service", "--key", str(key))
    ana = office.json(*INVITE, "Ana", "--email", "ana@office.example", "--account", "A-1")["person"]
    for more, why in (
        (("--person", ana, "--account", "A-2"), "whom its delegate did not invite"),
        (("--account", "A-1"), "whose holder its delegate did not invite"),
        (("--account", "A-2", "--role", "finance"), "a role that its delegate may not give"),
    ):
        refused = office.run(*INVITE, "Eve", "--email", "eve@office.example", "--key", str(key), *more)
        assert refused.code != 0
        assert why in refused.said
    [person] = office.json("people", "list")
    assert person["accounts"] == ["A-1"]
    wrong = str(office.state / "keys" / "authority-current.pem")
    refused = office.run(*INVITE, "Eve", "--email", "eve@office.example", "--account", "A-2", "--key", wrong)
    assert refused.code == 2
    assert "authority-current.pem is no key of a delegate." in refused.said


def test_what_cannot_be_a_delegate_is_refused_in_words(office: Office) -> None:
    office.json(*INVITE, "Ana", "--email", "ana@office.example", "--account", "A-1")
    key = str(office.folder / "service.pem")
    roster_key = str(office.folder / "roster-key.pem")
    for arguments, why in (
        (("add", "service", "--key", roster_key), "is the roster key itself"),
        (("add", "service", "--key", key, "--role", "boss"), "The desk has no role boss"),
        (("add", " ", "--key", key), "1 to 100 printable characters"),
        (("add", "service", "--key", str(office.folder)), "cannot be read"),
        (("add", "service", "--key", str(office.folder / "nowhere" / "key.pem")), "cannot be made"),
        (("end", "nobody", "--yes"), "does not exist"),
    ):
        refused = office.run("delegates", *arguments)
        assert refused.code != 0
        assert why in refused.said, refused.said
    assert office.run("delegates", "list").out.startswith("The roster key has named no delegate.")
    office.json("delegates", "add", "service", "--key", key)
    assert "was named before" in office.run("delegates", "add", "service", "--key", key).said


def test_a_roster_key_that_is_away_names_nobody(office: Office) -> None:
    office.json("people", "list")
    (office.folder / "roster-key.pem").unlink()
    refused = office.run("delegates", "add", "service", "--key", str(office.folder / "service.pem"))
    assert "The roster's private key is not at" in refused.said
    assert not (office.folder / "service.pem").exists()
