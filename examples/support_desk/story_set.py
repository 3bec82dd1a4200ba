"""The set of the story: its people, and what every scene has at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from story_books import Books
from story_cast import Cast, Role
from story_telling import Scene, Telling

from counterfoil.testing import Answer, Assistant

if TYPE_CHECKING:
    from counterfoil_server.cli.demo import Stage

MARIA = Role("Maria Lindqvist", ("C-1001",), (), "maria.lindqvist@post.example")
ANNELIES = Role("Annelies de Vries", ("C-1003",), (), "annelies@devries.example")
MARCO = Role("Marco Bellini", ("C-1004",), (), "marco.bellini@posta.example")
INES = Role("Ines Carvalho", ("C-1007",), (), "ines.carvalho@correio.example")
STUDIO = Role("Klara Brandt", ("C-1008",), (), "einkauf@studio-brandt.example")
HELENE = Role("Hélène Marchand", ("C-1009",), (), "helene.marchand@courrier.example")
LUKAS = Role("Lukas Steiner", ("C-1010",), (), "lukas.steiner@bergpost.example")
AGNIESZKA = Role("Agnieszka Nowak", ("C-1011",), (), "a.nowak@poczta.example")
SABINE = Role("Sabine Krüger", ("C-1005",), (), "sabine.krueger@web.example")
SIOBHAN = Role("Siobhán Byrne", ("C-1014",), (), "siobhan.byrne@post.example")
AMELIE = Role("Amélie Laurent", ("S-02",), ("finance",), "amelie.laurent@northlight.example")
JONAS = Role("Jonas Weber", ("S-03",), ("finance",), "jonas.weber@northlight.example")
PRIYA = Role("Priya Nair", ("S-04",), ("identity",), "priya.nair@northlight.example")
TOMASZ = Role("Tomasz Zieliński", ("S-05",), ("identity",), "tomasz.zielinski@northlight.example")

OSKAR = Role("Oskar Lund", ("S-07",), (), "oskar.lund@northlight.example")
"""He was never invited: he has no passkey, and messages reach him at the address that the shop has of him."""


@dataclass(frozen=True)
class Play:
    """Everything that a scene needs."""

    stage: Stage
    telling: Telling
    principal: str
    assistant: Assistant
    other: Assistant
    """A second agent, with a credential of its own."""
    cast: Cast
    books: Books

    @contextmanager
    def scene(self, title: str, *, refused: bool) -> Iterator[Scene]:
        """Begin a scene; what the shop's books gain from here on is its effect."""
        with self.telling.scene(title, refused=refused) as scene:
            self.books.mark()
            yield scene

    def nothing_happened(self, scene: Scene) -> None:
        """Look into the shop's database, and expect that not a byte changed."""
        scene.shop(self.books.in_words())
        scene.expect(self.books.unchanged, "nothing changed in the shop")

    def happened_once(self, scene: Scene, ticket: str) -> None:
        """Look into the shop's database, and expect the ticket's effect once and nothing else."""
        scene.shop(f"{self.books.in_words()}, once")
        scene.expect(self.books.added(ticket) == 1, "its effect is in the books exactly once")
        scene.expect(self.books.entries_added == 1, "nothing else is in the books")


def eur(value: str) -> dict[str, str]:
    """An amount in euro, as a tool's argument."""
    return {"value": value, "currency": "EUR"}


def plain(answer: Answer) -> str:
    """What an answer says, without the advice to the model that follows."""
    said = answer.words.partition("\n")[0]
    for advice in (" Tell the user", " To carry it out,"):
        said = said.partition(advice)[0]
    return said or "(no words)"
