"""Threats that this version cannot be attacked with, because the part that they are about is not there yet.

The whole of an id stands in :data:`LATER` until its part is built; what a tested id still lacks stands in
:data:`PARTS`. Whoever builds a part moves its ids from here into a test; ``test_threats_complete.py`` keeps count.
"""

from __future__ import annotations

LATER = {
    "T31": "No upstream: tokens of clients reach no other server before there is a gateway.",
    "T33": "No OIDC step-up: passkeys are the only way to recognise a person.",
    "T36": "No upstream: there is no tool definition to pin before there is a gateway.",
    "T37": "No upstream: there are no annotations to widen exposure before there is a gateway.",
}

PARTS = {
    "T19": "State, nonce and PKCE of OIDC.",
    "T38": "Upstream results: today the mark is the principal's, from declared reads.",
}
