"""What the names of columns say about them."""

from __future__ import annotations

import re
import unicodedata


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


USERS = _words(
    "user customer client member visitor account reader viewer person reviewer buyer patient student uid "
    "kunde kunden nutzer usuario cliente utilisateur"
)
"""Words for those who rate or click."""

ITEMS = _words(
    "item product sku movie book article asin isbn song track app film game restaurant business recipe hotel ad "
    "campaign video artikel produkt producto produit"
)
"""Words for what is rated or clicked."""

TARGETS = (
    _words("label target y"),
    _words(
        "rating ratings stars star score click clicked clicks clk converted conversion purchased bought liked like "
        "grade response overall bewertung sterne note"
    ),
)
"""Words for what is predicted, the plainest first."""

TIMES = _words("time timestamp ts date datetime when day hour created at unixtime datum zeit fecha")
"""Words for when."""

IDS = _words("id ids code key no nr num number idx index")
"""Words that say that a column holds ids."""

COUNTS = _words(
    "count counts cnt n num avg average mean total sum max min amount qty quantity price cost age days hours minutes "
    "seconds duration length size weight height width discount income revenue percent pct ratio lat lon latitude "
    "longitude distance temperature"
)
"""Words that say that numbers measure or count."""

FILLERS = _words("is has value user review customer item the of my")
"""Words beside the one that says what is predicted."""


def words(name: str) -> list[str]:
    """The words of a name, in small letters without accents: ``userId`` and ``user_id`` give ``user`` and ``id``."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    found = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", plain)]
    split = []
    for word in found:
        if word.endswith("id") and word[:-2] in USERS | ITEMS:
            split += [word[:-2], "id"]
        else:
            split.append(word[:-1] if word.endswith("s") and word[:-1] in USERS | ITEMS else word)
    return split


def role(name: str, hints: frozenset[str]) -> int:
    """How surely a name is that of a role: 2 for a word of the role alone or with ``id``, 1 for one among others."""
    own = words(name)
    if not hints & {*own}:
        return 0
    return 2 if {*own} <= hints | IDS else 1


def target(name: str) -> int:
    """How surely a name is that of what is predicted: 4 to 1, 0 for none."""
    own = {*words(name)}
    if own & (COUNTS | IDS | TIMES):
        return 0
    for rank, hints in enumerate(TARGETS):
        if own & hints:
            return 4 - rank if own <= hints | FILLERS else 2 - rank
    return 0


def is_id(name: str) -> bool:
    """Returns True if a name says that a column holds ids."""
    return bool(IDS & {*words(name)} or role(name, USERS) or role(name, ITEMS))
