"""What Northlight sold at the beginning: orders with their payments, refunds that were made, and invoices."""

# ruff: noqa: E501  (a row of a table stays on one line)

from __future__ import annotations

# number, customer, placed, delivered, currency, method, captured (None: the total), [(product, quantity, cents)]
ORDERS = [
    ("NL-26001", "C-1003", "2026-01-08", "2026-01-14", "EUR", "iDEAL, ABN AMRO", None, [("Sideboard Fjord, smoked oak", 1, 89900)]),
    ("NL-26002", "C-1001", "2026-01-19", "2026-01-23", "EUR", "Visa ending 4242", None, [("Table lamp Lykta, brass", 1, 12900), ("LED bulb E27, 2700 K", 2, 990)]),
    ("NL-26003", "C-1012", "2026-02-02", "2026-02-09", "SEK", "Swish", None, [("Floor lamp Norr, black", 1, 249500)]),
    ("NL-26004", "C-1008", "2026-02-11", "2026-03-03", "EUR", "Bank transfer", None, [("Pendant lamp Halo 60, white", 24, 28900), ("Ceiling rose, five cables", 4, 6900)]),
    ("NL-26005", "C-1002", "2026-02-20", "2026-02-26", "GBP", "Mastercard ending 5100", None, [("Armchair Vinge, moss green", 1, 64900)]),
    ("NL-26006", "C-1009", "2026-03-05", "2026-03-11", "EUR", "PayPal", None, [("Bedside table Mur, ash", 2, 14900)]),
    ("NL-26007", "C-1004", "2026-03-17", "2026-03-24", "EUR", "Visa ending 8810", None, [("Desk Strand 160, walnut", 1, 74900), ("Desk lamp Vinkel, white", 1, 11900)]),
    ("NL-26008", "C-1005", "2026-03-30", "2026-04-07", "EUR", "SEPA direct debit ending 20 51", None, [("Bookcase Hylla, five shelves", 1, 39900)]),
    ("NL-26009", "C-1010", "2026-04-09", "2026-04-15", "CHF", "TWINT", None, [("Dining table Vik 200, oak", 1, 149000)]),
    ("NL-26010", "C-1001", "2026-04-22", "2026-04-28", "EUR", "Visa ending 4242", None, [("Dining chair Sund, black", 6, 18900)]),
    ("NL-26011", "C-1007", "2026-05-04", "2026-05-08", "EUR", "Mastercard ending 7731", None, [("Wall lamp Måne, frosted glass", 2, 5900)]),
    ("NL-26012", "C-1011", "2026-05-16", "2026-05-22", "EUR", "BLIK", None, [("Shoe bench Gång, birch", 1, 15900)]),
    ("NL-26013", "C-1013", "2026-05-29", "2026-06-05", "SEK", "Visa ending 3307", None, [("Workbench stool Snickar", 2, 119500)]),
    ("NL-26014", "C-1003", "2026-06-10", "2026-06-16", "EUR", "iDEAL, ABN AMRO", None, [("Cushion cover Ull, rust", 4, 2490)]),
    ("NL-26015", "C-1014", "2026-06-21", "2026-06-29", "EUR", "Visa ending 6009", None, [("Sofa Hav, three seats, sand", 1, 169900)]),
    ("NL-26016", "C-1009", "2026-07-03", "2026-07-08", "EUR", "PayPal", None, [("Mirror Sjö 80, round", 1, 17900)]),
    ("NL-26017", "C-1001", "2026-07-15", "2026-07-20", "EUR", "Visa ending 4242", None, [("Lampshade Papper 45", 1, 3900), ("LED bulb E14, dimmable", 1, 1090)]),
    ("NL-26018", "C-1004", "2026-07-28", "2026-08-04", "EUR", "Visa ending 8810", None, [("Rug Ljung 170 × 240, grey", 1, 32900)]),
    ("NL-26019", "C-1002", "2026-08-12", "2026-08-18", "GBP", "Mastercard ending 5100", None, [("Side table Knop, travertine", 1, 21900)]),
    ("NL-26020", "C-1007", "2026-08-25", "2026-08-31", "EUR", "Mastercard ending 7731", None, [("Outdoor lantern Skär, large", 2, 4450)]),
    ("NL-26021", "C-1008", "2026-09-09", "2026-09-30", "EUR", "Bank transfer", None, [("Conference table Kust 360, oak", 2, 389000), ("Task chair Arbete, anthracite", 16, 32900)]),
    ("NL-26022", "C-1012", "2026-09-21", "2026-09-28", "SEK", "Swish", None, [("Pendant lamp Halo 40, black", 2, 189500)]),
    ("NL-26023", "C-1006", "2026-10-01", "2026-10-05", "EUR", "Visa ending 1188", None, [("Floor lamp Båge, marble foot", 3, 45900)]),
    ("NL-26024", "C-1001", "2026-10-14", "2026-10-19", "EUR", "Visa ending 4242", None, [("Pendant lamp Halo 40, brass", 1, 22900), ("Candle holder Is, set of three", 1, 4500)]),
    ("NL-26025", "C-1011", "2026-10-27", "2026-11-03", "EUR", "BLIK", None, [("Bed frame Natt 140, oak", 1, 52900)]),
    ("NL-26026", "C-1010", "2026-11-06", None, "CHF", "Invoice, not paid yet", 0, [("Wardrobe Rum, two doors", 1, 119000)]),
    ("NL-26027", "C-1001", "2026-11-16", None, "EUR", "Visa ending 4242", None, [("Modular sofa Hav, corner, wool", 1, 619000), ("Footstool Hav, wool", 1, 42900)]),
]  # fmt: skip

# Refunds that reached their customers before: idempotency key, order, cents, currency
SETTLED_REFUNDS = [
    ("counter-2026-0031", "NL-26006", 14900, "EUR"),
    ("counter-2026-0047", "NL-26010", 18900, "EUR"),
    ("counter-2026-0052", "NL-26016", 17900, "EUR"),
]

# number, customer, order (None: a service), issued, due, paid on (None: open), currency, [(text, cents)]
INVOICES = [
    ("R-2026-0118", "C-1008", "NL-26004", "2026-03-03", "2026-04-02", "2026-03-27", "EUR", [("24 × Pendant lamp Halo 60, white", 693600), ("4 × Ceiling rose, five cables", 27600)]),
    ("R-2026-0377", "C-1008", "NL-26021", "2026-09-30", "2026-12-15", None, "EUR", [("2 × Conference table Kust 360, oak", 778000), ("16 × Task chair Arbete, anthracite", 526400), ("Delivery and assembly", 24000)]),
    ("R-2026-0391", "C-1010", "NL-26026", "2026-11-06", "2026-12-06", None, "CHF", [("1 × Wardrobe Rum, two doors", 119000), ("Delivery to the third floor", 8900)]),
    ("R-2026-0395", "C-1001", None, "2026-11-09", "2026-12-09", None, "EUR", [("Repair of table lamp Lykta, new switch", 4500), ("Parcel, both ways", 1290)]),
    ("R-2026-0398", "C-1003", None, "2026-11-12", "2026-12-12", None, "EUR", [("Assembly of sideboard Fjord", 6900), ("Travel", 3500)]),
    ("R-2026-0402", "C-1012", None, "2026-11-17", "2026-12-17", None, "SEK", [("Wiring of two pendant lamps Halo 40", 129500)]),
    ("R-2026-0405", "C-1005", None, "2026-11-19", "2026-12-19", None, "EUR", [("Pick-up of bookcase Hylla", 2900)]),
    ("R-2026-0406", "C-1006", None, "2026-11-20", "2026-12-20", None, "EUR", [("Storage of three floor lamps Båge, one month", 9000)]),
]  # fmt: skip
