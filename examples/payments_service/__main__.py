"""``python -m payments_service [--config payments.toml]``: serve until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import fcntl
import logging
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from counterfoil.presented import OrderVerifier
from payments_service import heard, ledger, refunds
from payments_service.database import Database, StartRefused
from payments_service.feed_follower import FeedFollower
from payments_service.service import PaymentsService
from payments_service.settings import Settings, load, secret, trust_of
from payments_service.web import Server

HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None, clock: Callable[[], float] = time.time) -> int:
    """Serve; answers the exit code."""
    parser = argparse.ArgumentParser(prog="payments_service", description="Runs refunds for orders that it verifies.")
    parser.add_argument("--config", type=Path, default=HERE / "payments.toml", help="the settings (payments.toml)")
    path: Path = parser.parse_args(arguments).config
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        settings = load(path)
        orders_token = secret(settings.orders_token)
        with opened(settings, path.parent, clock) as service:
            service.recover()
            service.feed.hear()
            serve(settings, service, orders_token)
    except StartRefused as error:
        print(error, file=sys.stderr)
        return 2
    return 0


@contextmanager
def opened(settings: Settings, folder: Path, clock: Callable[[], float]) -> Iterator[PaymentsService]:
    """The service over its files; raises :class:`StartRefused`."""
    trust = trust_of(settings, folder)
    token = secret(settings.feed_token)
    state = folder / settings.state
    with _only_one(state):
        books, payments = _files(state)
        try:
            tickets = ledger.Ledger(books, trust.issuer)
            memory = heard.FeedMemory(books, trust.issuer)
            heard.check_pinned(books, trust.roster.minimum_version)
            business = refunds.Refunds(payments, {name: each.cents for name, each in settings.limits.items()})
            _check_not_rolled_back(tickets, business)
            yield PaymentsService(
                trust=trust,
                executor=settings.executor,
                verifier=OrderVerifier(
                    trust=trust, executor=settings.executor, floors=settings.floors, memory=memory,
                    feed_life=settings.feed_life,
                ),
                database=books,
                ledger=tickets,
                memory=memory,
                feed=FeedFollower(
                    authority=settings.authority, token=token, trust=trust, memory=memory,
                    feed_life=settings.feed_life, clock=clock,
                ),
                feed_life=settings.feed_life,
                refunds=business,
                clock=clock,
            )  # fmt: skip
        except sqlite3.Error as error:
            raise StartRefused(f"The files in {state} cannot be used: {error}.") from None
        finally:
            books.close()
            payments.close()


def serve(settings: Settings, service: PaymentsService, token: str) -> None:
    """Answer and follow the feed until told to stop; what is being done is done to its end."""
    try:
        server = Server((settings.host, settings.port), service, token)
    except OSError as error:
        raise StartRefused(
            f"Nothing can listen on {settings.host}:{settings.port}: {error.strerror}."
            " Stop what listens there, or set another 'port'."
        ) from None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    follower = threading.Thread(target=service.feed.follow, args=(stop, settings.feed_every))
    follower.start()
    host, port = server.server_address[:2]
    print(f"The payments service listens on http://{host!s}:{port}", flush=True)
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        stop.set()
        server.server_close()
        follower.join()


def _files(state: Path) -> tuple[Database, Database]:
    """The ledger and the payments."""
    books, payments = state / "ledger.db", state / "payments.db"
    if payments.exists() and not books.exists():
        raise StartRefused(
            "payments.db is there and ledger.db is gone: with an empty one, what was done could be done again."
            " Restore ledger.db from a backup made after the last refund."
        )
    return Database(books, ledger.SCHEMA + heard.SCHEMA), Database(payments, refunds.SCHEMA)


def _check_not_rolled_back(tickets: ledger.Ledger, business: refunds.Refunds) -> None:
    """What was done last is in both files: else one of them is an older copy than the other, or was lost."""
    paid, executed = business.newest_key(), tickets.newest_executed()
    for name, lacking in (
        ("ledger.db", paid is not None and tickets.entry(paid) is None),
        ("payments.db", executed is not None and business.find(executed) is None),
    ):
        if lacking:
            raise StartRefused(
                f"{name} does not know what was done last: it was lost, or is an older copy."
                f" Restore {name} from a backup made after the last refund."
            )


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        opened = (state / "lock").open("a")
    except OSError as error:
        raise StartRefused(
            f"The state folder {state} cannot be used: {error.strerror}."
            " Name another as 'state', or let this user write in it."
        ) from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartRefused(f"Another process works in {state}. Stop it first, or name another 'state'.") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
