from __future__ import annotations

import pytest

from bench.config.secrets import Secrets, command, hides, without_password


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:a/b@c@host/d", "postgresql://me:***@host/d"),
        ("https://host/d?token=t&user=me", "https://host/d?token=***&user=me"),
        ("https://host/d?user=me&api_key=k;sslpassword=p#top", "https://host/d?user=me&api_key=***;sslpassword=***#top"),
        ("https://host/d?Pwd=p&secret=s&sig=", "https://host/d?Pwd=***&secret=***&sig="),
        ("tracking.uri=http://me:p w@host", "tracking.uri=http://me:***@host"),
        ("refused by 'http://me:p@host' for http://you:q@host/x too", "refused by 'http://me:***@host' for "
         "http://you:***@host/x too"),
        ("user:password@host?token=t", "user:password@host?token=t"),  # no address
        ("https://host:80/d", "https://host:80/d"),
    ],
)  # fmt: skip
def test_secrets_of_addresses_are_hidden(text: str, shown: str) -> None:
    assert without_password(text) == shown
    assert hides(without_password(text)) == (shown != text)


def test_a_command_is_quoted_and_hides_secrets() -> None:
    words = ["python", "tracking.uri=http://me:p@host", "dataset.path=my data.csv"]
    assert command(words) == "python 'tracking.uri=http://me:***@host' 'dataset.path=my data.csv'"


def test_what_is_hidden_can_be_revealed_and_is_told_apart() -> None:
    secrets = Secrets()
    first, second = (secrets.hidden(f"http://me:{word}@host") for word in ("one", "two"))
    assert (first, second) == ("http://me:***@host", "http://me:***2@host")
    assert secrets.hidden("http://me:one@host") == first
    assert secrets.revealed({"uri": [second, "else"]}) == {"uri": ["http://me:two@host", "else"]}
    assert secrets.hidden("${oc.env:URI,http://me:one@host/d}") == "${oc.env:URI,http://me:***@host/d}"
    other = Secrets()
    other.learn(secrets.known)
    assert other.revealed(first) == "http://me:one@host"
