"""What strangers wrote about a product: the one read whose text the shop does not answer for.

It is declared as untrusted. Whichever AI calls it may have been talked into whatever it asks for afterwards, so from
then on ``policy.cedar`` lets nothing run for it that no person has signed.
"""

from __future__ import annotations

from typing import Annotated

from business import Business
from pydantic import BaseModel, Field
from reviews import Reviews

from counterfoil import Desk

ProductName = Annotated[str, Field(min_length=3, max_length=100)]


class ProductReview(BaseModel):
    """What somebody wrote about a product."""

    product: str
    stars: int
    text: str


def offer_reviews(desk: Desk, shop: Business) -> None:
    """Reviews from the shop's public pages."""
    reviews = Reviews(shop)

    @desk.read(untrusted=True)
    async def product_reviews(product: ProductName) -> list[ProductReview]:
        """What people wrote about a product on Northlight's public pages."""
        return [
            ProductReview(product=review.product, stars=review.stars, text=review.text)
            for review in reviews.reviews_of(product)
        ]
