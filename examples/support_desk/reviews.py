"""What people wrote about the shop's products on its public pages. Anybody may write anything there."""

from __future__ import annotations

from dataclasses import dataclass

from business import Business


@dataclass(frozen=True, slots=True)
class Review:
    """One review, as it was sent in."""

    product: str
    stars: int
    text: str


class Reviews:
    """The reviews in the shop's database."""

    def __init__(self, shop: Business) -> None:
        self._shop = shop

    def reviews_of(self, product: str) -> list[Review]:
        """The reviews of every product with these words in its name, the oldest first."""
        with self._shop.reading() as database:
            rows = database.execute(
                "SELECT product, stars, text FROM reviews "
                "WHERE ?1 <> '' AND instr(lower(product), lower(?1)) ORDER BY number",
                (product.strip(),),
            ).fetchall()
        return [Review(**dict(row)) for row in rows]
