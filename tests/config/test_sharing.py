"""``share=``: which fields share a method, and what is refused."""

from __future__ import annotations

import pytest

from bench.config import compose
from bench.config.sharing import groups_of, shared
from bench.errors import RequestError

SIZES = {"user": 400, "item": 300, "context_1": 20}
DATA = ("dataset=synthetic", "dataset.contexts=true", "model=neumf")


def groups(*given, sizes=SIZES):
    return groups_of(compose([*given]), sizes)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((), [["user"], ["item"], ["context_1"]]),
        (("share=[]",), [["user"], ["item"], ["context_1"]]),
        (("share=all",), [["user", "item", "context_1"]]),
        (("share={above:20}",), [["user", "item"], ["context_1"]]),
        (("share.above=300",), [["user"], ["item"], ["context_1"]]),
        (("share=[[item,user]]",), [["user", "item"], ["context_1"]]),
        (("share=[[item]]",), [["user"], ["item"], ["context_1"]]),
        (("share=all", "full_below=21"), [["user", "item"], ["context_1"]]),
    ],
)
def test_groups(given, wanted):
    assert groups(*given) == wanted


def test_only_groups_of_several_fields_are_shared():
    assert shared([["user", "item"], ["context_1"]]) == [["user", "item"]]
    assert shared([["user"], ["item"]]) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("share=[[user,itm]]",), r"^share=\[\[user, itm\]\]: itm is no field of dataset=synthetic; did you mean item"),
        (("share=[[user,item],[item]]",), "item is given twice"),
        (("share=[user,item]",), r"^share=\[user, item\]: give all, lists of fields, such as \[\[user,item\]\], or"),
        (("share=every",), "^share=every: give all, lists of fields"),
        (("share={over:3}",), r"^share=\{over: 3\}: give all, lists of fields"),
        (("share={above:-1}",), r"^share=\{above: -1\}: give all, lists of fields"),
        (("share=all", "strategy=qr_md"), "^share=all: user has qr .*: null.* and item has md .*; fields that"),
        (
            ("share=all", "strategy=hash", "embedding@embeddings.item=hash", "embeddings.item.hash_seed=1"),
            r"user has hash \{.*hash_seed: 0\} and item has hash \{.*hash_seed: 1\}; fields that share a table",
        ),
    ],
)  # fmt: skip
def test_refusals(given, says):
    with pytest.raises(RequestError, match=says):
        compose([*given])


def test_sizes_decide_before_methods_are_compared():
    settings = compose(["share=all", "strategy=qr_md", "full_below=350"])
    assert groups_of(settings, {"user": 400, "item": 300}) == [["user"], ["item"]]
    with pytest.raises(RequestError, match="share=all: user has qr"):
        groups_of(settings, {"user": 400, "item": 350})
