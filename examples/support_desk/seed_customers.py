"""Northlight's customers at the beginning: who they are, how they sign in, and what they are members of.

People and addresses are invented; the addresses use domains that can never receive mail (RFC 2606).
"""

# ruff: noqa: E501  (a row of a table stays on one line)

from __future__ import annotations

# number, name, e-mail, phone, sign-in e-mail, customer since, registered, locked, fraud score
CUSTOMERS = [
    ("C-1001", "Maria Lindqvist", "maria.lindqvist@post.example", "+46 8 555 01 12", "maria.lindqvist@post.example", "2019-03-14", "2019-03-14", 0, 4),
    ("C-1002", "Jonathan Okafor", "j.okafor@mail.example", "+44 20 7946 0102", "j.okafor@mail.example", "2021-11-02", "2021-11-02", 0, 9),
    ("C-1003", "Annelies de Vries", "annelies@devries.example", "+31 20 555 0103", "annelies@devries.example", "2018-06-21", "2020-01-09", 0, 2),
    ("C-1004", "Marco Bellini", "marco.bellini@posta.example", "+39 02 5550 104", "bellini.marco@old-mail.example", "2020-09-30", "2020-09-30", 0, 11),
    ("C-1005", "Sabine Krüger", "sabine.krueger@web.example", "+49 30 5550 105", "sabine.krueger@web.example", "2022-02-17", "2022-02-18", 1, 37),
    ("C-1006", "Viktor Halloran", "v.halloran@inbox.example", "+353 1 555 0106", "v.halloran@inbox.example", "2026-09-28", "2026-09-28", 0, 88),
    ("C-1007", "Ines Carvalho", "ines.carvalho@correio.example", "+351 21 555 0107", "ines.carvalho@correio.example", "2023-05-05", "2023-05-05", 0, 6),
    ("C-1008", "Studio Brandt Architekten", "einkauf@studio-brandt.example", "+49 40 5550 108", "einkauf@studio-brandt.example", "2017-10-11", "2019-08-01", 0, 1),
    ("C-1009", "Hélène Marchand", "helene.marchand@courrier.example", "+33 1 55 50 01 09", "helene.marchand@courrier.example", "2024-01-23", "2024-01-23", 0, 15),
    ("C-1010", "Lukas Steiner", "lukas.steiner@bergpost.example", "+41 44 555 01 10", "lukas.steiner@bergpost.example", "2022-12-06", "2022-12-06", 0, 8),
    ("C-1011", "Agnieszka Nowak", "a.nowak@poczta.example", "+48 22 555 01 11", "a.nowak@poczta.example", "2025-04-19", "2025-04-19", 0, 22),
    ("C-1012", "Erik Johansson", "erik.johansson@brev.example", "+46 31 555 01 12", "erik.johansson@brev.example", "2020-03-03", "2021-06-15", 0, 5),
    ("C-1013", "Erik Johansson", "erik@johansson-snickeri.example", "+46 90 555 01 13", "erik@johansson-snickeri.example", "2023-08-27", "2023-08-27", 0, 3),
    ("C-1014", "Siobhán Byrne", "siobhan.byrne@post.example", "+353 1 555 0114", "siobhan.byrne@post.example", "2021-01-30", "2021-01-30", 0, 79),
    ("C-1015", "Rasmus Dahl", "rasmus.dahl@postkasse.example", "+45 33 55 01 15", "rasmus.dahl@postkasse.example", "2026-08-14", "2026-08-14", 1, 64),
]  # fmt: skip

# Addresses that customers gave the shop besides the two above: address, customer, first seen
OTHER_ADDRESSES = [
    ("maria@lindqvist-keramik.example", "C-1001", "2023-10-02"),
    ("jonathan.okafor@work.example", "C-1002", "2024-05-13"),
]

# The passwords that were changed since the account was made: customer, date
PASSWORDS = [
    ("C-1001", "2024-05-03"),
    ("C-1005", "2026-02-11"),
    ("C-1007", "2025-12-29"),
]

# Open sign-ins: customer, device, place, since
SESSIONS = [
    ("C-1001", "Safari on iPhone", "Gothenburg", "2026-11-02"),
    ("C-1001", "Firefox on Windows", "Gothenburg", "2026-11-16"),
    ("C-1003", "Chrome on Android", "Amsterdam", "2026-10-30"),
    ("C-1005", "Safari on iPad", "Berlin", "2026-11-20"),
    ("C-1007", "Chrome on Android", "Lisbon", "2026-11-11"),
    ("C-1007", "Safari on Mac", "Lisbon", "2026-11-19"),
    ("C-1008", "Edge on Windows", "Hamburg", "2026-11-24"),
]

# Why an account is locked: customer, why, since, the tries that led to it
LOCKS = [
    ("C-1005", "failed_sign_ins", "2026-11-24", "12 wrong passwords in 9 minutes, Safari on iPad, Berlin"),
    ("C-1015", "fraud_desk", "2026-11-18", "none; three cards of other people were tried on one order"),
]

# Members: customer, tier, paid until, the tier after that (None: the same), paid by
MEMBERSHIPS = [
    ("C-1001", "plus", "2027-03-14", None, "Visa ending 4242"),
    ("C-1003", "standard", "2027-06-21", None, "iDEAL, ABN AMRO"),
    ("C-1005", "standard", "2027-02-18", None, "SEPA direct debit ending 20 51"),
    ("C-1007", "standard", "2027-05-05", "free", "Mastercard ending 7731"),
    ("C-1008", "plus", "2027-08-01", None, "Bank transfer"),
    ("C-1014", "plus", "2027-01-30", None, "Visa ending 6009"),
]
