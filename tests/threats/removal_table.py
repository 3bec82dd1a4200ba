"""Which check of the product each threat's tests notice the absence of.

One row takes away one protection, as it would be if somebody had not thought of it, or had undone it. Where several
layers protect from the same attack, the row takes all of them, and says so: any one of them alone would still hold.
``make removals`` applies the rows one at a time to a copy of the tree and expects the tests of the id to fail.
"""

from __future__ import annotations

from dataclasses import dataclass

CORE = "capabilities/counterfoil/"
SERVER = "server/counterfoil_server/"
VERIFICATION = SERVER + "verification/"
TEMPLATES = VERIFICATION + "templates/"
CONVERSATION = SERVER + "conversation/"
STORE = SERVER + "store/"
EXECUTION = SERVER + "execution/"


@dataclass(frozen=True)
class Edit:
    """In ``file``, ``text`` stands once; without the check, ``instead`` stands there."""

    file: str
    text: str
    instead: str


@dataclass(frozen=True)
class Removal:
    """A protection and how it is taken away. ``tests``: those that must fail, by a part of their names."""

    threat: str
    what: str
    edits: tuple[Edit, ...]
    tests: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.threat}: {self.what}"

    @property
    def selected(self) -> str:
        """What pytest selects by."""
        return f"test_{self.threat}_{self.tests}"


def removal(threat: str, what: str, *edits: tuple[str, str, str], tests: str = "") -> Removal:
    """A row of the table."""
    return Removal(threat, what, tuple(Edit(*edit) for edit in edits), tests)


# The last lines against the same attack, which several rows have to take away together.
STATE_IS_LOOKED_AT = (
    STORE + "redemption.py",
    'f"WHERE id = ?5 AND state IN {spelled(sources(Event.REDEEM))} "',
    'f"WHERE id = ?5 "',
)
CAPABILITY_LIVES = (
    STORE + "redemption.py",
    "WHERE id = ?7 AND expires_at > ?6 AND ended_at IS NULL)",
    "WHERE id = ?7 AND expires_at > ?6 - 100000)",
)
SUSPENSIONS_STOP = (
    STORE + "redemption.py",
    "AND NOT {suspended(scopes, first=12 if counting else 9)}",
    "AND ({suspended(scopes, first=12 if counting else 9)} OR TRUE)",
)
EXECUTOR_LOOKS_AT_SUSPENSIONS = (
    EXECUTION + "executor.py",
    "        if await self.store.suspensions(scopes_of(envelope, people=proven.evidence.people)):\n",
    "        if False:\n",
)
REDEMPTION_IS_SEALED = (
    EXECUTION + "executor.py",
    "            await self._see_sealed(history)\n",
    "            pass\n",
)
LEDGER_WAS_ASKED = (EXECUTION + "executor.py", "        if before is not None:\n", "        if False:\n")
LEDGER_STARTS_ONCE = (
    EXECUTION + "ledger.py",
    "        return self._write(statement, row) == 1\n",
    "        self._write(statement, row)\n        return True\n",
)
LOG_WAS_ASKED = (
    EXECUTION + "executor.py",
    '        if any(leaf.values["event"] in HAPPENED for leaf in history):\n',
    "        if False:\n",
)
EXECUTOR_ASKS_POLICY = (
    EXECUTION + "executor.py",
    "        if not verdict.allowed:\n            raise OrderRefused(f\"The executor's own",
    "        if False:\n            raise OrderRefused(f\"The executor's own",
)
AUTHORITY_ASKS_POLICY = (
    CORE + "judgement.py",
    '            raise PolicyRefuses("; ".join(verdict.reasons) or None)\n'
    "        counters = asked.counters if self.policy.counts(envelope.operation) else None\n",
    "            pass\n        counters = asked.counters if self.policy.counts(envelope.operation) else None\n",
)
ABOUT_THIS_ENVELOPE = (
    CORE + "evidence.py",
    " or statement.envelope != digest:",
    ":",
)
AUTHORITY_COMPARES_ENROLMENTS = (
    CORE + "judgement.py",
    "            roster.check_enrolled((await self._enrolments.told()).get)\n",
    "",
)
USER_VERIFIED = (CORE + "assertions.py", "    if not data[32] & USER_VERIFIED:\n", "    if False:\n")

REMOVALS = (
    removal(
        "T01",
        "a link is for its recipient",
        # Two layers: whoever is not the recipient would still need a seat.
        (VERIFICATION + "sign_in.py", "        if to.recipient not in (None, person.id):\n", "        if False:\n"),
        (
            CORE + "recipients.py",
            "return next((seat for seat in dict.fromkeys((HOLDER, *seats))",
            "return HOLDER or next((seat for seat in dict.fromkeys((HOLDER, *seats))",
        ),
    ),
    removal(
        "T02",
        "opening a link begins no session",
        (
            VERIFICATION + "sign_in.py",
            "        return self._page(request, self._way.template) if link.live",
            "        response = self._page(request, self._way.template)\n"
            "        await self._parts.sessions.begin(\n"
            "            request, response, self._way.session, ticket=link.ticket, person=link.recipient\n"
            "        )\n"
            "        return response if link.live",
        ),
    ),
    removal(
        "T02",
        "a message tells nothing of the request",
        (
            SERVER + "notices/describing.py",
            "operation.title if operation else organisation, at, looked_into",
            "notice.ticket if operation else organisation, at, looked_into",
        ),
    ),
    removal(
        "T03",
        "addresses come from the roster",
        (
            CORE + "recipients.py",
            "            NoticeDraft(APPROVE, person.id, address, HOLDER) for person in enrolled "
            "for address in person.channels[:1]\n",
            "            NoticeDraft(APPROVE, person.id, envelope.argument_values.get('new_email', address), HOLDER)\n"
            "            for person in enrolled for address in person.channels[:1]\n",
        ),
    ),
    removal(
        "T04",
        "a ticket belongs to its principal",
        (CORE + "request_verbs.py", "if ticket is None or ticket.principal != principal:", "if ticket is None:"),
    ),
    removal(
        "T04",
        "ticket ids are long",
        (CORE + "request_verbs.py", "secrets.token_bytes(20)", "secrets.token_bytes(10)"),
    ),
    removal(
        "T05",
        "one person signs once",
        # Four layers: the page offers nothing, the table has one row for each person, and evidence counts people.
        (
            CORE + "decision_verbs.py",
            "seat in seats_required(envelope) and not mine,",
            "seat in seats_required(envelope),",
        ),
        (STORE + "schema.py", "        UNIQUE (ticket, person)\n", "        UNIQUE (number)\n"),
        (
            STORE + "ticket_verbs.py",
            "FROM ticket WHERE id = ? ON CONFLICT (ticket, person) DO NOTHING",
            "FROM ticket WHERE id = ?",
        ),
        (CORE + "evidence.py", "        if person.id in people:\n", "        if False:\n"),
    ),
    removal(
        "T05",
        "nobody approves for their own agent",
        (
            CORE + "evidence.py",
            "    if holds or person.id in (envelope.owner, envelope.actor):\n",
            "    if holds:\n",
        ),
    ),
    removal(
        "T06",
        "opening a link leaves it as it was",
        (
            VERIFICATION + "links.py",
            "await self._store.secret(LINK, known), await self._store.secret(RELINK, known)",
            "await self._store.take_secret(LINK, known), await self._store.secret(RELINK, known)",
        ),
    ),
    removal(
        "T07",
        "stopping needs the code of the message",
        (
            VERIFICATION + "veto.py",
            '        if not await self._parts.links.code_is_right(link, form.get("code", "")):\n',
            "        if False:\n",
        ),
    ),
    removal(
        "T07",
        "a passkey that is not enrolled signs nobody in",
        # Whoever is not known would be taken for the recipient, whatever they sign with.
        (
            VERIFICATION + "sign_in.py",
            "        if known is None:\n            raise LinkRefused()\n        credential, person = known\n"
            "        verify_assertion(",
            "        if known is None:\n"
            "            roster = await self._parts.judge.roster()\n"
            "            known = roster.credentials_of(to.recipient)[0], roster.people[to.recipient]\n"
            "        credential, person = known\n"
            "        (lambda *_, **__: None)(",
        ),
    ),
    removal("T08", "the user is verified", USER_VERIFIED),
    removal(
        "T08",
        "the signature is verified",
        (
            CORE + "assertions.py",
            "        _loaded(public_key).verify(signature, signed.digest(), PREHASHED)\n",
            "        pass\n",
        ),
    ),
    removal(
        "T08",
        "it was signed at our own origin",
        (
            CORE + "assertions.py",
            "    if not isinstance(origin, str) or origin not in party.origins:\n",
            "    if False:\n",
        ),
    ),
    removal(
        "T09",
        "a message stops and never approves",
        (
            CORE + "decision_verbs.py",
            'self._decline(ticket_id, "Stopped from the account\'s own channel.")',
            "Step(Event.APPROVE, leaves.stepped(Event.APPROVE, ticket_id))",
        ),
    ),
    removal(
        "T10",
        "the code is asked for",
        # Three layers: when the statement is made, when it is signed, and in what counts as evidence.
        (
            CORE + "decision_verbs.py",
            '        if choice == "approve" and view.needs_code:\n            await',
            "        if False:\n            await",
        ),
        (
            CORE + "decision_verbs.py",
            'if statement.decision != "decline" and statement.seat == HOLDER and envelope.actor != person.id:',
            "if False:",
        ),
        (
            CORE + "evidence.py",
            "statement.code is not None or person.id == envelope.actor",
            "True",
        ),
    ),
    removal(
        "T10",
        "three wrong codes decline",
        (CORE + "decision_verbs.py", "            if wrong >= WRONG_CODES:\n", "            if False:\n"),
    ),
    removal(
        "T11",
        "a link lives ten minutes",
        (
            VERIFICATION + "links.py",
            "await self._store.put_secret(Secret(LINK, known, ticket.id, data, now + self._life))",
            "await self._store.put_secret(Secret(LINK, known, ticket.id, data, now + 86400))",
        ),
        tests="a_link",
    ),
    removal(
        "T11",
        "a statement lives ten minutes",
        # Two layers: the session in which it is signed ends at the same time.
        (CORE + "evidence.py", "STATEMENT_LIFE = 600\n", "STATEMENT_LIFE = 86400\n"),
        (VERIFICATION + "routes.py", "    session: int = 600\n", "    session: int = 86400\n"),
        tests="a_statement",
    ),
    removal(
        "T11",
        "a capability lives two minutes",
        # Two layers: its own claim, and the store's row.
        (CORE + "tokens.py", " or not claims.iat <= now < claims.exp:", ":"),
        CAPABILITY_LIVES,
        tests="a_capability",
    ),
    removal(
        "T12",
        "equal requests are one ticket",
        (STORE + "ticket_verbs.py", "    if repeated is not None:\n", "    if False:\n"),
    ),
    removal(
        "T12",
        "three messages an hour",
        (
            STORE + "outbox_verbs.py",
            "    return transaction.now if row is None else int(row[0]) + window\n",
            "    return transaction.now\n",
        ),
    ),
    removal(
        "T12",
        "five requests wait for one account",
        (STORE + "ticket_verbs.py", '        ("account", ticket.account, caps.per_account, AccountBusy),\n', ""),
    ),
    removal(
        "T12",
        "whoever is disowned is barred",
        (
            CORE + "decision_verbs.py",
            "        if declined and disown:\n            await self._bar_requester(envelope)\n",
            "",
        ),
    ),
    removal(
        "T12",
        "what a disowned agent has waiting is revoked",
        (
            CORE + "decision_verbs.py",
            "        if disown:\n            await self._revoke_waiting(envelope)\n",
            "",
        ),
    ),
    removal(
        "T13",
        "an agent has a quota",
        (
            STORE + "ticket_verbs.py",
            '        ("principal", ticket.principal, caps.per_principal, TooManyRequests),\n',
            "",
        ),
    ),
    removal(
        "T14",
        "declining looks like approving",
        (TEMPLATES + "decide.html", 'class="button decline" id="decline"', 'class="button text" id="decline"'),
    ),
    removal(
        "T14",
        "nothing has the focus",
        (
            TEMPLATES + "decide.html",
            'class="button decline" id="decline"',
            'class="button decline" id="decline" autofocus',
        ),
    ),
    removal(
        "T15",
        "the summary is the operation's own",
        (
            CORE + "display.py",
            '        "summary": operation.description.splitlines()[0],\n',
            '        "summary": envelope.note or operation.description.splitlines()[0],\n',
        ),
    ),
    removal(
        "T15",
        "what the AI wrote is labelled",
        (TEMPLATES + "request.html", "Written by the AI, not checked", "Remarks"),
    ),
    removal(
        "T16",
        "a session has a fresh cookie",
        (
            VERIFICATION + "sessions.py",
            '        cookie = new_secret()\n        data = {"ticket": ticket, "credential": credential}\n',
            "        cookie = former or self._cookie(request, VISIT) or new_secret()\n"
            '        data = {"ticket": ticket, "credential": credential}\n',
        ),
    ),
    removal(
        "T16",
        "a sign-in ends the former session",
        (
            VERIFICATION + "sessions.py",
            "            await self._store.take_secret(kind, secret_digest(kind, former))\n",
            "            pass\n",
        ),
    ),
    removal(
        "T17",
        "requests come from our own origin",
        (
            VERIFICATION + "headers.py",
            'if site not in (None, "same-origin") or not (origin in origins or',
            "if False and not (origin in origins or",
        ),
        tests="only_our_own",
    ),
    removal(
        "T17",
        "the form token is the page's",
        (
            VERIFICATION + "headers.py",
            "    if sent is None or not hmac.compare_digest(expected.encode(), sent.encode()):\n",
            "    if False:\n",
        ),
        tests="only_our_own",
    ),
    removal(
        "T17",
        "cookies belong to the host",
        (
            VERIFICATION + "sessions.py",
            '        self._prefix = "__Host-" if secure else ""\n',
            '        self._prefix = ""\n',
        ),
        tests="over_tls",
    ),
    removal(
        "T17",
        "sessions are same-site",
        (VERIFICATION + "sessions.py", 'httponly=True, samesite="strict",', 'httponly=True, samesite="none",'),
        tests="over_tls",
    ),
    removal(
        "T18",
        "nobody frames our pages",
        # Two headers for browsers of different age.
        (VERIFICATION + "headers.py", "        \"frame-ancestors 'none'\",\n", '        "frame-ancestors *",\n'),
        (VERIFICATION + "headers.py", '    "x-frame-options": "DENY",\n', ""),
    ),
    removal(
        "T18",
        "no inline script runs",
        (
            VERIFICATION + "headers.py",
            "        \"script-src 'self'\",\n",
            "        \"script-src 'self' 'unsafe-inline'\",\n",
        ),
    ),
    removal("T18", "nosniff", (VERIFICATION + "headers.py", '    "x-content-type-options": "nosniff",\n', "")),
    removal("T18", "no-referrer", (VERIFICATION + "headers.py", '    "referrer-policy": "no-referrer",\n', "")),
    removal(
        "T19",
        "a redirect goes where we say",
        (
            VERIFICATION + "decision.py",
            '            return RedirectResponse("/done", 303)\n',
            '            return RedirectResponse(request.query_params.get("next", "/done"), 303)\n',
        ),
    ),
    removal(
        "T19",
        "our host's name is ours",
        (SERVER + "app.py", "allowed_hosts=host_names(parts.configuration)", 'allowed_hosts=["*"]'),
    ),
    removal(
        "T20",
        "templates escape",
        # Two layers: the filter for what others wrote escapes by itself.
        (VERIFICATION + "rendering.py", "autoescape=True", "autoescape=False"),
        (VERIFICATION + "rendering.py", "str(escape(text)))", "str(text))"),
    ),
    removal(
        "T21",
        "hiding characters are spelled out",
        (
            CORE + "display.py",
            "        hides = marks > MARKS or _hides(character)\n",
            "        hides = marks > MARKS\n",
        ),
    ),
    removal(
        "T21",
        "mixed alphabets carry a warning",
        (CORE + "display.py", "    if mixed_scripts(text):\n", "    if False:\n"),
    ),
    removal(
        "T22",
        "nobody approves before the end",
        (
            TEMPLATES + "decide.html",
            ' aria-describedby="unread" disabled>Approve',
            ' aria-describedby="unread">Approve',
        ),
    ),
    removal(
        "T22",
        "nothing is cut",
        (
            CORE + "display.py",
            "visible(envelope.note) if envelope.note else None,",
            "visible(envelope.note[:300]) if envelope.note else None,",
        ),
    ),
    removal(
        "T23",
        "strict JSON comes in",
        (
            SERVER + "json_rpc.py",
            "        message = parse_strict(body)\n",
            "        message = json.loads(body.decode(errors='replace'))\n",
        ),
    ),
    removal(
        "T23",
        "a float is no integer",
        (CORE + "desk.py", 'ConfigDict(extra="forbid", strict=True), **fields', 'ConfigDict(extra="forbid"), **fields'),
    ),
    removal(
        "T24",
        "an amount is a decimal text",
        (
            CORE + "values.py",
            'Field(pattern=AMOUNT_PATTERN, examples=["12.50"])',
            'Field(examples=["12.50"])',
        ),
    ),
    removal(
        "T24",
        "an amount has a currency",
        (CORE + "values.py", 'Annotated[str, Field(pattern=CURRENCY_PATTERN, examples=["EUR"])]', 'str = "EUR"'),
    ),
    removal(
        "T25",
        "a capability is for its own ticket",
        # Two layers: the claims, and the store's row.
        (CORE + "redemption_verbs.py", " or claims.ticket != ticket_id or claims.envelope != ticket.digest:", ":"),
        (
            STORE + "redemption.py",
            "AND number = (SELECT ticket FROM capability",
            "AND EXISTS (SELECT ticket FROM capability",
        ),
    ),
    removal(
        "T25",
        "nothing else is taken with a capability",
        (
            CONVERSATION + "answers.py",
            "        return model.model_validate_json(json_bytes(arguments))\n",
            "        return model.model_validate_json(json_bytes(arguments), extra='ignore')\n",
        ),
    ),
    removal(
        "T26",
        "a changed tool voids its approvals",
        (
            CORE + "judgement.py",
            "        if operation is None or operation.digest != envelope.tool:\n",
            "        if operation is None:\n",
        ),
    ),
    removal(
        "T26",
        "the policy of the day is asked again",
        # Three layers: when a process starts, when a ticket is minted for and redeemed, and in the executor.
        (
            CORE + "decision_verbs.py",
            "        return None if verdict.allowed else",
            "        return None if True else",
        ),
        AUTHORITY_ASKS_POLICY,
        EXECUTOR_ASKS_POLICY,
    ),
    removal(
        "T27",
        "facts are compared when people have decided",
        # Two layers: the executor compares them again.
        (
            CORE + "decision_verbs.py",
            "        if operation.comparable(previewed.facts) != comparable_of(operation, envelope):\n",
            "        if False:\n",
        ),
        (
            EXECUTION + "executor.py",
            "        if operation.comparable(previewed.facts) != comparable_of(operation, envelope):\n",
            "        if False:\n",
        ),
    ),
    removal(
        "T27",
        "facts are compared before the effect",
        (
            EXECUTION + "executor.py",
            "        if operation.comparable(previewed.facts) != comparable_of(operation, envelope):\n",
            "        if False:\n",
        ),
    ),
    removal(
        "T28",
        "suspensions stop a redemption",
        # Two layers: the executor refuses what is suspended, too.
        SUSPENSIONS_STOP,
        EXECUTOR_LOOKS_AT_SUSPENSIONS,
        tests="whatever",
    ),
    removal(
        "T28",
        "a revocation stops a redemption",
        # Five layers: the ticket's state, the capability's end, what the executor heard from the log; and since it is
        # for good, the ticket is barred besides, here and for the executor.
        STATE_IS_LOOKED_AT,
        SUSPENSIONS_STOP,
        EXECUTOR_LOOKS_AT_SUSPENSIONS,
        CAPABILITY_LIVES,
        (
            EXECUTION + "executor.py",
            "        if await asyncio.to_thread(self.ledger.stopped, envelope.ticket):\n",
            "        if False:\n",
        ),
        tests="what_was",
    ),
    removal("T28", "a ticket is claimed once", STATE_IS_LOOKED_AT, tests="whatever"),
    removal(
        "T28",
        "an expired ticket is not redeemed",
        # Three layers: the claim, its state once somebody looked, and the executor's own check of the order.
        (
            STORE + "redemption.py",
            "AND expires_at > ?6 AND coalesce(hold_until, 0) <= ?6 ",
            "AND expires_at > ?6 - 100000 AND coalesce(hold_until, 0) <= ?6 ",
        ),
        (
            CORE + "proof.py",
            "    if not envelope.requested_at <= claims.redeemed_at < envelope.expires_at:\n",
            "    if False:\n",
        ),
        (STORE + "ticket_verbs.py", "    for (ticket,) in due:\n", "    for (ticket,) in ():\n"),
        tests="a_ticket_that_expired",
    ),
    removal("T29", "a capability is spent by its id", STATE_IS_LOOKED_AT),
    removal(
        "T30",
        "issuer and audience are ours",
        (
            CORE + "tokens.py",
            "    if claims.iss != issuer or claims.aud != issuer or not claims.iat",
            "    if not claims.iat",
        ),
    ),
    removal("T30", "a token ends", (CORE + "tokens.py", " or not claims.iat <= now < claims.exp:", ":")),
    removal("T30", "a token is of its type", (CORE + "tokens.py", " or typ != kind:", ":")),
    removal(
        "T30",
        "a header brings no key",
        (CORE + "tokens.py", ' or set(header) != {"alg", "kid", "typ"}:', ":"),
    ),
    removal(
        "T30",
        "a key has one algorithm",
        (CORE + "tokens.py", " or algorithm != ALGORITHM or", " or"),
    ),
    removal(
        "T32",
        "bearer tokens are stored as digests",
        (SERVER + "bearer.py", '    return digest("counterfoil-bearer-token", token.encode())\n', "    return token\n"),
    ),
    removal(
        "T32",
        "links and sessions are stored as digests",
        (
            VERIFICATION + "secrets_kept.py",
            '    return digest(f"counterfoil-{kind}", secret)\n',
            "    return b64(secret)\n",
        ),
    ),
    removal(
        "T32",
        "codes are stored as digests",
        (VERIFICATION + "links.py", '"code": keyed(secret, "stop-code", code) if code else None,', '"code": code,'),
    ),
    removal(
        "T32",
        "spent and unknown invitations are answered alike",
        (
            VERIFICATION + "enrolment.py",
            "            if invitation.secret_key != opened or known in spent"
            " or await self._parts.judge.is_spent(known):\n                continue\n",
            "            if invitation.secret_key != opened:\n                continue\n"
            "            if known in spent:\n"
            "                raise LinkRefused('This invitation was used.', 'Ask for another.')\n",
        ),
    ),
    removal(
        "T34",
        "a rule that fails refuses",
        (
            CORE + "policy.py",
            "        if answer.diagnostics.errors or answer.decision is",
            "        if answer.decision is",
        ),
        tests="an_error_in_the_policy",
    ),
    removal(
        "T34",
        "a record that cannot be read refuses",
        (
            CORE + "judgement.py",
            '            return Previewed(None, "The organisation\'s records could not be read for this request.")\n',
            '            return Previewed(operation.blank_facts.model_copy(update={"owners": (account,)}), None)\n',
        ),
        tests="an_error_in_a_fraud_signal",
    ),
    removal(
        "T34",
        "no leaf, no change",
        (
            STORE + "chain.py",
            "        connection.executemany(INSERT_LEAF, self._sealed)\n",
            "        try:\n            connection.executemany(INSERT_LEAF, self._sealed)\n"
            "        except sqlite3.Error:\n            pass\n",
        ),
        tests="what_cannot_be_written",
    ),
    removal(
        "T35",
        "an invitation serves once",
        # Four layers: the page, the roster's verification, and the table's two ways of saying it.
        (
            VERIFICATION + "enrolment.py",
            "!= opened or known in spent or await self._parts.judge.is_spent(known):",
            "!= opened:",
        ),
        (CORE + "roster.py", "if invitation is None or enrolment.invitation in spent or", "if invitation is None or"),
        (STORE + "schema.py", "        invitation TEXT NOT NULL UNIQUE,\n", "        invitation TEXT NOT NULL,\n"),
    ),
    removal(
        "T35",
        "an invitation ends",
        # Two layers: the page, and the roster's verification.
        (VERIFICATION + "enrolment.py", "if self._parts.store.now() <= invitation.exp and not", "if not"),
        (CORE + "roster.py", " or not invitation.iat <= enrolment.iat <= invitation.exp:", ":"),
    ),
    removal(
        "T35",
        "a passkey is made with its user verified",
        # Two layers: the registration, and the signature over the enrolment.
        (
            VERIFICATION + "registration.py",
            "            require_user_verification=True,\n",
            "            require_user_verification=False,\n",
        ),
        USER_VERIFIED,
    ),
    removal(
        "T35",
        "every address is told",
        (
            VERIFICATION + "enrolment.py",
            "        for invitation in invited.roster.invitations.values()\n",
            "        for invitation in (invited.invitation,)\n",
        ),
    ),
    removal(
        "T38",
        "an untrusted read leaves its mark",
        (CONVERSATION + "reads.py", "            await self._taint.mark(principal)\n", "            pass\n"),
    ),
    removal(
        "T38",
        "the mark is kept over a restart",
        (
            CONVERSATION + "taint.py",
            "            await self._store.put_setting(_name(principal), str(self._store.now()))\n",
            "",
        ),
    ),
    removal(
        "T38",
        "the policy sees the mark",
        (CONVERSATION + "requests.py", "Signals(tainted=await self._taint.is_marked(principal))", "Signals()"),
    ),
    removal(
        "T38", "the page shows the mark", (TEMPLATES + "request.html", "{% if content.tainted %}", "{% if false %}")
    ),
    removal(
        "T39",
        "a conversation is its principal's own",
        (CORE + "access_verbs.py", "if found is None or found.principal != principal:", "if found is None:"),
    ),
    removal(
        "T44",
        "a grant is for its own account",
        (
            CORE + "granted.py",
            "return next((grant for grant in grants if grant.account == envelope.account), None)",
            "return next(iter(grants), None)",
        ),
        # The second layer: the redemption and the executor compare the grant with the request again.
        (
            CORE + "grants.py",
            "(envelope.grant, envelope.account, envelope.principal, envelope.conversation) == (",
            "() != (",
        ),
        tests="a_loop_over",
    ),
    removal(
        "T40",
        "the envelope is the one on the log",
        (CORE + "judgement.py", '        if groups.get("envelope") != expected or not same:\n', "        if False:\n"),
        tests="an_edited",
    ),
    removal(
        "T40",
        "evidence is about one request",
        # Three layers: what was shown, and the code that was typed, differ as well.
        ABOUT_THIS_ENVELOPE,
        (
            CORE + "evidence.py",
            "    if not asked or statement.display != display_of(statement.seat):\n",
            "    if not asked:\n",
        ),
        (CORE + "evidence.py", "    if code_digest(envelope.salt_bytes, code) != envelope.code:\n", "    if False:\n"),
        tests="evidence",
    ),
    removal(
        "T40",
        "the invitation's secret signed the passkey",
        # Two layers: the signature, and the log, which tells of another enrolment.
        (CORE + "roster.py", "        key.verify(unb64(signed.secret_signature), _secret_message(enrolment))\n", ""),
        AUTHORITY_COMPARES_ENROLMENTS,
        tests="a_passkey",
    ),
    removal(
        "T41",
        "asking for nothing is no requirement",
        # Four layers: nothing is ever met by nobody, policy is not asked with nothing, and the authority redeemed it.
        (
            CORE + "evidence.py",
            "        if reached.covers(rung) and not rung.is_empty:\n",
            "        if reached.covers(rung):\n",
        ),
        (CORE + "policy.py", "        if evidence.is_empty:\n", "        if False:\n"),
        EXECUTOR_ASKS_POLICY,
        REDEMPTION_IS_SEALED,
        tests="an_order",
    ),
    removal(
        "T41",
        "the evidence meets what the request requires",
        # Three layers: the executor's own policy would ask for as much, and the log tells of no redemption.
        (CORE + "proof.py", "    if met(envelope.requirements, reached) is None:\n", "    if False:\n"),
        EXECUTOR_ASKS_POLICY,
        REDEMPTION_IS_SEALED,
        tests="an_order",
    ),
    removal(
        "T41", "the executor asks its own policy", EXECUTOR_ASKS_POLICY, REDEMPTION_IS_SEALED, tests="the_executor"
    ),
    removal(
        "T42",
        "the ledger knows what was started",
        # Three layers: it is asked first, it starts nothing twice, and the log tells what ran.
        LEDGER_WAS_ASKED,
        LEDGER_STARTS_ONCE,
        LOG_WAS_ASKED,
    ),
    # Two layers: a ticket that was never redeemed is not on the log as such.
    removal("T42", "old evidence serves no new ticket", ABOUT_THIS_ENVELOPE, REDEMPTION_IS_SEALED),
    removal(
        "T43",
        "owners are looked at",
        (
            CORE + "judgement.py",
            "if not isinstance(facts, operation.facts) or set(facts.owners) != {account}:",
            "if not isinstance(facts, operation.facts):",
        ),
    ),
    removal(
        "T45",
        "what waits counts when a request is made",
        (
            CORE + "judgement.py",
            "            states=tuple(PLANNED if planned else COUNTED),\n",
            "            states=tuple(COUNTED),\n",
        ),
        tests="many",
    ),
    removal(
        "T45",
        "what ran counts at redemption",
        # Two layers: the judgement, and the comparison inside the transaction. The executor counts what it ran itself.
        AUTHORITY_ASKS_POLICY,
        (STORE + "redemption.py", "AND ({COUNTERS}) = (?9, ?10, ?11)", "AND (({COUNTERS}) = (?9, ?10, ?11) OR TRUE)"),
        tests="many",
    ),
    removal(
        "T45",
        "the executor counts what it ran",
        (
            EXECUTION + "executor.py",
            'envelope, facts.model_dump(mode="json"), counters)',
            'envelope, facts.model_dump(mode="json"), type(counters)(0, counters.total * 0))',
        ),
        tests="the_executor",
    ),
    removal(
        "T46",
        "a policy is checked at load",
        (CORE + "policy_text.py", "        check_monotone(policy, _where(policy, lines, source))\n", ""),
    ),
    removal(
        "T47",
        "what was started is not run again",
        # Three layers: whoever settles it asks the ledger, the executor does, and nothing starts twice.
        (
            EXECUTION + "dispatcher.py",
            "            if self._executor.ledger.effect(self._executor.issuer, ticket.id) is not None:\n",
            "            if False:\n",
        ),
        LEDGER_WAS_ASKED,
        LEDGER_STARTS_ONCE,
        LOG_WAS_ASKED,
    ),
    removal(
        "T47",
        "nobody guesses the outcome",
        (
            EXECUTION + "executor.py",
            '            event, outcome = Event.REPORT_UNKNOWN, {"reason": why}\n',
            '            event, outcome = Event.REPORT_NOT_EXECUTED, {"reason": why}\n',
        ),
    ),
    removal(
        "T48",
        "a state folder has one owner",
        (STORE + "folder.py", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"),
    ),
    removal(
        "T49",
        "an older roster is refused",
        # Two layers: the lowest version of whoever verifies it, and the executor's own count from the log.
        (CORE + "roster.py", "    if len(records) < minimum:\n", "    if False:\n"),
        (
            EXECUTION + "executor.py",
            "        if roster.version < await asyncio.to_thread(self.ledger.roster_version):\n",
            "        if False:\n",
        ),
    ),
    removal(
        "T49",
        "records are numbered and chained",
        (CORE + "roster.py", "    if record.version != number or record.previous != head:\n", "    if False:\n"),
    ),
    removal(
        "T49",
        "records are signed by the roster's key",
        # Three steps of one check: the key is known, the signature is its, and the record follows the one before.
        (
            CORE + "tokens.py",
            "    key = keys.get(kid)\n",
            "    key = keys.get(kid) or next(iter(keys.values()))\n",
        ),
        (CORE + "tokens.py", "    if not key.verifies(", "    if False and not key.verifies("),
        (CORE + "roster.py", "    if record.version != number or record.previous != head:\n", "    if False:\n"),
    ),
    removal(
        "T50",
        "the clock never goes back",
        (
            STORE + "clock.py",
            "self._highest = max(self._highest, int(self._source()))",
            "self._highest = int(self._source())",
        ),
        tests="a_clock",
    ),
    removal(
        "T50",
        "the highest time outlives the process",
        (STORE + "sqlite.py", "store_clock.raise_to(chain.load(connection))", "chain.load(connection)"),
        tests="a_clock",
    ),
    removal(
        "T50",
        "what ran is remembered apart",
        # Three layers: the log must go on from where it was read, the ledger is asked, and it starts nothing twice.
        (
            EXECUTION + "executor.py",
            "            if not last or last[0].index != index or last[0].mac != mac:\n",
            "            if False:\n",
        ),
        LEDGER_WAS_ASKED,
        LEDGER_STARTS_ONCE,
        LOG_WAS_ASKED,
        tests="a_restored",
    ),
    removal(
        "T50",
        "an older log is refused",
        (STORE + "sealer.py", "            if checkpoint.size > leaves:\n", "            if False:\n"),
        tests="a_restored",
    ),
    removal(
        "T51",
        "a decline has a namespace of its own",
        (CORE + "statements.py", '"decline": DECLINE_NAMESPACE,', '"decline": APPROVE_NAMESPACE,'),
    ),
    removal(
        "T51",
        "the challenge is the one that was made",
        (
            CORE + "assertions.py",
            '    if client.get("challenge") != b64(challenge):\n',
            "    if False:\n",
        ),
        (
            CORE + "assertions.py",
            "        _loaded(public_key).verify(signature, signed.digest(), PREHASHED)\n",
            "        pass\n",
        ),
    ),
    removal(
        "T52",
        "a link's secret is random",
        (
            VERIFICATION + "links.py",
            "        secret = new_secret()\n        code",
            "        import hashlib\n\n"
            "        secret = hashlib.sha256(str(notice.ticket).encode()).digest()\n        code",
        ),
    ),
    removal(
        "T53",
        "the holder is told",
        (
            CORE + "redemption_verbs.py",
            "        if event not in TOLD:\n",
            "        if True:\n",
        ),
    ),
    removal(
        "T53",
        "the former address is told as well",
        (CORE + "recipients.py", "    found += [notice.address for notice in earlier if notice.seat == HOLDER]\n", ""),
    ),
    removal(
        "T53",
        "the organisation's own address is told as well",
        (
            CORE + "recipients.py",
            "    return list(dict.fromkeys(found + ([contact.email] if contact else [])))\n",
            "    return list(dict.fromkeys(found))\n",
        ),
    ),
    removal(
        "T54",
        "a refusal is not told",
        (
            CONVERSATION + "requests.py",
            "waiting_for=self._waiting_for if ticket.state is State.PENDING else (),",
            "waiting_for=self._waiting_for if ticket.refusal is None else (),",
        ),
    ),
    removal(
        "T54",
        "a busy account is not told",
        (CORE + "request_verbs.py", "        except AccountBusy:\n", "        except ZeroDivisionError:\n"),
    ),
    removal(
        "T54",
        "an unknown account takes as long",
        (
            CORE + "judgement.py",
            "        assert operation.run_preview is not None  # noqa: S101 - Desk.check refused it at load\n",
            "        assert operation.run_preview is not None\n"
            '        if account is None:\n            return Previewed(None, "The account is not known.")\n',
        ),
    ),
    # Executors outside, delegates, witnesses and chats.
    removal(
        "T28",
        "an executor outside runs nothing where its feed is old",
        (
            CORE + "presented.py",
            "        if at is None or abs(now - at) > self._feed_life:\n",
            "        if at is None:\n",
        ),
        tests="an_executor_outside",
    ),
    removal(
        "T42",
        "an executor outside looks for the redemption on the log",
        (
            CORE + "presented.py",
            "        if found is None or found[0] != claims.envelope:\n",
            "        found = (claims.envelope, claims.redeemed_at)\n        if False:\n",
        ),
        tests="a_stolen_key_runs_nothing_outside",
    ),
    removal(
        "T50",
        "an executor outside compares when the log tells of the redemption",
        (CORE + "presented.py", "        if found[1] != claims.redeemed_at:\n", "        if False:\n"),
        tests="a_feed_held_back",
    ),
    removal(
        "T41",
        "an executor outside has a floor of its own",
        (CORE + "presented.py", "        if met(floor, proven.reached) is None:\n", "        if False:\n"),
        tests="the_floor",
    ),
    removal(
        "T49",
        "the authority compares enrolments with the log",
        AUTHORITY_COMPARES_ENROLMENTS,
        tests="an_enrolment",
    ),
    removal(
        "T49",
        "the executor compares enrolments with what it heard first",
        (
            EXECUTION + "executor.py",
            "            roster.check_enrolled((await asyncio.to_thread(self.ledger.enrolled)).get)\n",
            "",
        ),
        tests="an_executor_remembers",
    ),
    removal(
        "T49",
        "the authority remembers with which invitations passkeys of an earlier version were enrolled",
        (CORE + "judgement.py", "            self._enrolments.remember(roster)\n", ""),
        tests="an_invitation_that_was_used",
    ),
    removal(
        "T49",
        "the executor remembers with which invitations passkeys of an earlier version were enrolled",
        (
            EXECUTION + "executor.py",
            "            await asyncio.to_thread(self.ledger.saw_enrolments, roster)\n",
            "",
        ),
        tests="an_invitation_that_was_used",
    ),
    removal(
        "T49",
        "an executor outside compares enrolments with what it heard first",
        (CORE + "presented.py", "        known.roster.check_enrolled(self._memory.enrolled)\n", ""),
        tests="an_enrolment_in_the_place_of_the_first_is_refused_outside",
    ),
    removal(
        "T49",
        "a leaf of an enrolment opens",
        (
            CORE + "leaves.py",
            "    if opening is None or not opens(opening, digests):\n        raise",
            "    if opening is None:\n        return None\n    if not opens(opening, digests):\n        raise",
        ),
        tests="a_leaf_of_an_enrolment",
    ),
    removal(
        "T49",
        "the roster has the very records that the log tells of",
        (
            CORE + "roster.py",
            "        if records and self.digests[records - 1] != last:\n",
            "        if False:\n",
        ),
        tests="a_delegates_key",
    ),
    removal(
        "T35",
        "a delegate invites nobody whom others invited",
        (CORE + "delegates.py", "        if self._inviters.get(person, set()) - {signer}:\n", "        if False:\n"),
        tests="a_delegates_key",
    ),
    removal(
        "T35",
        "a delegate gives no account that others gave",
        (
            CORE + "delegates.py",
            "        if any(self._holders.get(account, set()) - {signer} for account in accounts):\n",
            "        if False:\n",
        ),
        tests="a_delegates_key",
    ),
    removal(
        "T35",
        "a delegate gives no role that it was not named with",
        (CORE + "delegates.py", "        if not set(roles) <= set(delegation.roles):\n", "        if False:\n"),
        tests="a_delegates_key",
    ),
    removal(
        "T40",
        "a witness compares with what it cosigned before",
        (
            CORE + "witness.py",
            "        check_consistency(known.size, known.root, checkpoint.size, checkpoint.root, asked.proof)\n",
            "        pass\n",
        ),
        tests="the_logs_key",
    ),
    removal(
        "T13",
        "turns are looked through one call at a time",
        (
            CONVERSATION + "turns.py",
            "        async with self._in_turn(principal.id), self._looking:\n",
            "        if True:\n",
        ),
        tests="a_flood_of_turns",
    ),
    removal(
        "T34",
        "what a key service answers is verified before it is used",
        (CORE + "signing.py", "    if not signer.public.verifies(found, message):\n", "    if False:\n"),
        tests="a_key_service",
    ),
)
