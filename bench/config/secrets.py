"""Functions that hide secrets, that is passwords and tokens in addresses, behind ``***`` in shown or written texts.

Two rules find the secrets in an address ``SCHEME://...``:

- A password stands between the first ``:`` behind the user's name and the last ``@``. It may hold ``/``, ``@``,
  ``?`` and blanks. Drivers accept these though standards do not, so the longest candidate is hidden.
- In the query, the value of every parameter with a name such as ``password`` or ``token`` is a secret.

``Secrets`` removes the secrets from settings as soon as they are read, so that no later code can write them. It puts
the secrets back where an address is opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

HIDDEN = "***"
"""The text in the place of a secret."""

SAID = ("BENCH_DATA_DIR", "BENCH_RESULTS_DIR", "MLFLOW_TRACKING_URI")
"""Environment variables that the documentation names.

They hold the places of data and results, which a result has to name. So their values are logged, without secrets. The
values of other variables are logged only if they decide the result.
"""

_SCHEME = r"[A-Za-z][\w+.-]*://"
_USERINFO = re.compile(rf"({_SCHEME}[^/?#@:\s]*):(.*)@", re.DOTALL)
_PARAMETER = re.compile(
    r"([?&;][^=&;?\s]*(?:pass|pwd|token|secret|key|credential|signature|sig|auth|odbc_connect)[^=&;?\s]*=)([^&;#]*)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(_SCHEME)
_VALUE = re.compile(rf"(?:[^\s'\"=]+=)?{_SCHEME}")
_TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s'\"]+")
_IN_INTERPOLATION = re.compile(rf"{_SCHEME}[^'\"{{}},]*")


def without_password(text: str) -> str:
    """Hides the secrets of the addresses in a text. A text without an address is returned as it is.

    A text that begins with an address, or with ``NAME=`` and an address, is the value of a setting. The address then
    goes to the end of the text. In other texts, such as the message of a database driver, an address ends at a blank.
    An address in quotes ends at the closing quote.
    """
    if _VALUE.match(text):
        return _masked(text, HIDDEN)
    return _TOKEN.sub(lambda found: _masked(found[0], HIDDEN), text) if _ADDRESS.search(text) else text


def _masked(text: str, stars: str) -> str:
    if not _ADDRESS.search(text):
        return text
    text = _USERINFO.sub(lambda found: f"{found[1]}:{stars}@", text)
    return _PARAMETER.sub(lambda found: found[1] + (stars if found[2] else ""), text)


def command(words: Iterable[str]) -> str:
    """The words of a command as one line for a shell, with their secrets hidden."""
    import shlex

    return shlex.join(map(without_password, words))


def hides(text: str) -> bool:
    """Returns True if a secret is hidden in ``text``."""
    return f":{HIDDEN}@" in text or f"={HIDDEN}" in text


class Secrets:
    """The secrets of one command's settings. Hides them when settings are read, and reveals them for use.

    Equal texts are hidden in the same way. Addresses that differ only in the secret get different numbers.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._true: dict[str, str] = dict(known or {})

    @property
    def known(self) -> Mapping[str, str]:
        """The true addresses by their shown form, to be sent to another process."""
        return self._true

    def learn(self, known: Mapping[str, str]) -> None:
        """Adds the addresses that another process knows."""
        self._true.update(known)

    def hidden(self, text: str) -> str:
        """Hides the secrets in ``text``, so that it may be written. ``revealed`` restores them."""
        if "${" in text:  # the default in ${oc.env:NAME,DEFAULT} may be an address
            return _IN_INTERPOLATION.sub(lambda found: self._hidden(found[0]), text)
        return self._hidden(text)

    def _hidden(self, text: str) -> str:
        masked, number = _masked(text, HIDDEN), 1
        if masked == text or text in self._true:
            return text
        while self._true.get(masked, text) != text:
            number += 1
            masked = _masked(text, f"{HIDDEN}{number}")
        self._true[masked] = text
        return masked

    def revealed(self, value: T) -> T:
        """Puts the true addresses back into the value of a setting, or into nested values."""
        return mapped(value, lambda text: self._true.get(text, text)) if self._true else value


def mapped(value: T, change: Callable[[str], str]) -> T:
    """A copy of nested lists and dicts with each text changed. Keys stay as they are."""
    if isinstance(value, str):
        return change(value)  # type: ignore[return-value]
    if isinstance(value, Mapping):
        return {key: mapped(item, change) for key, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        return [mapped(item, change) for item in value]  # type: ignore[return-value]
    return value
