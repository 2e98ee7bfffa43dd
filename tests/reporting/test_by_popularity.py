"""Who pays for compression: differences by popularity and the worst-served ids, in every form of a report."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from made import made
from scored import scored, task

from bench.records.result import Result
from bench.reporting import contents, files, page, plots, rows, tables, worst
from bench.tradeoff import popularity, show, tradeoff

T = 12.7062047  # the 0.975 quantile of Student's t with one degree of freedom
FULL = [0.6 + 0.02 * place for place in range(10)]


def served(one: str | int | None, error: float, rows: int = 30, training_rows: int = 5) -> dict[str, Any]:
    return {"id": one, "error": error, "rows": rows, "training_rows": training_rows}


def run(
    strategy: str, seed: int, of_fields: dict[str, list[Any]], size: float = 1.0, **changed: Any
) -> Result:
    """A result with numbers by field; those of the item are its ``val_mae_by_decile`` too."""
    return made(
        strategy, seed, 0.7, size, val_mae_by_decile=of_fields.get("item"), val_mae_by_field=of_fields, **changed
    )  # fmt: skip


def plus(*amounts: float | None) -> list[float | None]:
    return [None if more is None else one + more for one, more in zip(FULL, amounts, strict=True)]


def two_seeds() -> list[Result]:
    """Users: the rarest tenth loses 0.08 and 0.1, the most popular 0.01 twice. Items: 0.05 and 0.01; gains 0.02."""
    return [
        *(run("full", seed, {"user": FULL, "item": FULL}) for seed in (0, 1)),
        run("qr", 0, {"user": plus(0.01, *[0.03] * 8, 0.08), "item": plus(-0.02, *[0.0] * 8, 0.05)}, 0.1),
        run("qr", 1, {"user": plus(0.01, *[0.05] * 8, 0.10), "item": plus(-0.02, *[0.0] * 8, 0.01)}, 0.1),
    ]


def sentences(results: list[Result]) -> list[str]:
    return contents.build(results).sections[0].pays


def test_the_sentence_by_hand() -> None:
    heading, sentence = sentences(two_seeds())
    assert heading.startswith(
        "Who pays, in MAE beside full tables (mean over paired seeds, ± half the 95 % interval"
    )
    users, items = (T * np.std(pair, ddof=1) / 2**0.5 for pair in ([0.08, 0.1], [0.05, 0.01]))
    assert sentence == (
        f"qr budget=0.1: the rarest tenth of users pays 0.0900 ± {users:.4f}, the most popular 0.0100 ± 0.0000; "
        f"the rarest tenth of items pays 0.0300 ± {items:.4f}, the most popular gains 0.0200 ± 0.0000."
    )


def test_only_seeds_that_both_have_count() -> None:
    full, _, qr, _ = two_seeds()
    other = run("qr", 7, {"user": plus(*[9.0] * 10), "item": FULL}, 0.1)
    heading, sentence = sentences([full, qr, other])
    assert "±" not in heading
    assert sentence == (
        "qr budget=0.1: the rarest tenth of users pays 0.0800, the most popular 0.0100; the rarest tenth of items "
        "pays 0.0500, the most popular gains 0.0200."
    )
    assert sentences([full, other]) == []  # no seed in common


def test_tenths_without_rows_are_passed_over() -> None:
    few = [0.5, None, None, 0.6, None, None, 0.7, None, None, None]
    more = [0.6, None, None, 0.6, None, None, 0.75, None, None, None]
    _, sentence = sentences([run("full", 0, {"city": few}), run("qr", 0, {"city": more}, 0.1)])
    assert sentence == (
        "qr budget=0.1: the rarest tenth of the ids of city with evaluation rows pays 0.0500, the most popular 0.1000."
    )
    alone = [0.5, *[None] * 9]
    assert sentences([run("full", 0, {"city": alone}), run("qr", 0, {"city": alone}, 0.1)]) == []


def test_a_tenth_that_one_seed_lacks_is_not_averaged() -> None:
    results = two_seeds()
    results[3] = run("qr", 1, {"user": plus(0.01, *[0.05] * 8, None), "item": FULL}, 0.1)
    (section,) = contents.build(results).sections
    group = next(entry.group for entry in section.entries if not entry.is_baseline)
    baseline = next(entry.group for entry in section.entries if entry.is_baseline)
    assert popularity.means(group)["user"][9] is None
    assert popularity.differences(group, baseline)["user"] == [
        pytest.approx(0.01), *[pytest.approx(0.04)] * 8, None,
    ]  # fmt: skip
    assert popularity.differences(baseline, baseline) == {} == popularity.differences(group, None)
    assert [one.tenth for one in popularity.ends(group, baseline)["user"]] == [8, 0]


def test_of_many_fields_those_with_the_widest_gap_are_named() -> None:
    every = {f"C{n}": FULL for n in range(6)}
    more = {f"C{n}": plus(*[0.0] * 9, n / 100) for n in range(6)}
    heading, sentence = sentences([run("full", 0, every), run("qr", 0, more, 0.1)])
    assert "of 6 fields those with the widest gap" in heading
    assert re.findall(r"C\d", sentence) == ["C3", "C4", "C5"]


def test_of_many_groups_the_best_of_each_method_is_told_of() -> None:
    names, sizes = ("qr", "md", "hash"), (0.5, 0.3, 0.2, 0.1)
    results = [run("full", 0, {"item": FULL})]
    for size in sizes:
        for name in names:
            one = run(name, 0, {"item": plus(*[0.1] * 10)}, size)
            results.append(one.with_(val_mae=0.7 + (0.2 if name == "md" else -0.2) * size))
    _, *told, left = sentences(results)
    assert sorted(line.split(":")[0] for line in told) == [
        "hash budget=0.5",
        "md budget=0.1",
        "qr budget=0.5",
    ]
    assert left.startswith("9 more: ")
    assert len(sentences(results[:9])) == 9  # eight groups are not many


def test_results_of_earlier_versions_have_the_items() -> None:
    old = [made("full", 0, 0.7), made("qr", 0, 0.75, 0.1)]
    assert all(one.val_mae_by_field is None for one in old)
    _, sentence = sentences(old)
    assert sentence == "qr budget=0.1: the rarest tenth of items pays 0.0500, the most popular 0.0500."
    new = run("qr", 0, {"user": FULL, "item": FULL}, 0.1)
    (section,) = contents.build([old[0], new]).sections
    assert list(section.tenths) == ["item", "user"] and len(section.tenths["user"]) == 10
    assert "users" not in section.pays[1]
    none = [one.with_(val_mae_by_decile=None) for one in old]
    assert sentences(none) == [] and sentences([old[1]]) == []


def test_the_items_come_first_whatever_their_field_is_called() -> None:
    found = {"user": FULL, "sku": FULL}
    results = [run("full", 0, found), run("qr", 0, found, 0.1)]
    named = [
        one.with_(settings={**one.settings, "dataset": {**one.settings["dataset"], "item_field": "sku"}})
        for one in results
        if one.settings is not None
    ]
    (section,) = contents.build(named).sections
    assert list(section.tenths) == ["sku", "user"]
    assert plots.title(section, "popularity") == "Error by popularity of the ids of sku"


def test_a_score_that_is_better_the_higher_it_is() -> None:
    with task():
        runs = [
            scored(made("full", 0), 0.8, val_score_by_field={"user": [0.8, *[0.7] * 9]}),
            scored(made("qr", 0, 0.7, 0.1), 0.7, val_score_by_field={"user": [0.9, *[0.5] * 9]}),
        ]
        assert sentences(list(runs))[1] == (
            "qr budget=0.1: the rarest tenth of users pays 0.2000, the most popular gains 0.1000."
        )
        (line,) = csv.DictReader(io.StringIO(tables.table(contents.build([runs[0]]))))
        assert float(line["val_score_user_decile_1"]) == 0.8


def test_the_terminal_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    show(tradeoff(two_seeds()))
    out = " ".join(capsys.readouterr().out.split())
    assert "the rarest tenth of users pays 0.0900 ±" in out
    assert "the most popular gains 0.0200" in out


def test_csv_and_json_have_every_tenth() -> None:
    report = contents.build(two_seeds())
    lines = {line["strategy"]: line for line in csv.DictReader(io.StringIO(tables.table(report)))}
    assert float(lines["qr"]["val_mae_user_decile_10"]) == pytest.approx(FULL[9] + 0.09)
    assert float(lines["qr"]["delta_user_decile_1"]) == pytest.approx(0.01)
    assert float(lines["qr"]["delta_item_decile_1"]) == pytest.approx(-0.02)
    assert float(lines["full"]["val_mae_item_decile_3"]) == pytest.approx(FULL[2])
    assert lines["full"]["delta_item_decile_3"] == ""
    groups = {one["strategy"]: one for one in json.loads(tables.as_json(report))["groups"]}
    assert groups["qr"]["val_mae_by_field_mean"]["item"] == pytest.approx(plus(-0.02, *[0.0] * 8, 0.03))
    assert groups["qr"]["delta_by_field"]["user"] == pytest.approx([0.01, *[0.04] * 8, 0.09])
    assert groups["full"]["delta_by_field"] == {}
    text = tables.markdown(report)
    assert "\nWho pays, in MAE" in text and "\n- qr budget=0.1: the rarest tenth of users" in text


def listed() -> list[Result]:
    """Two seeds of full and qr with the ids that they serve worst."""
    full = {"user": [served("Ann", 1.0), served("=2+2", 0.9)], "item": []}
    first = {"user": [served("Bob", 3.0, 41, 2), served("Ann", 1.5), served(None, 1.2, 99, 0)], "item": []}
    second = {"user": [served("Cy", 4.0), served("Ann", 2.5), served("Bob", 2.0, 41, 2)], "item": []}
    return [
        *(run("full", seed, {"user": FULL}, val_mae_worst_ids=full) for seed in (0, 1)),
        run("qr", 0, {"user": FULL}, 0.1, val_mae_worst_ids=first),
        run("qr", 1, {"user": FULL}, 0.1, val_mae_worst_ids=second),
    ]


def test_the_worst_ids_over_seeds() -> None:
    (section,) = contents.build(listed()).sections
    qr = next(entry for entry in section.entries if not entry.is_baseline)
    found = section.worst[qr.key]
    # those that both seeds list come first, then by error
    assert found["user"] == [
        worst.WorstId("Bob", 2.5, 2, 41, 2, None), worst.WorstId("Ann", 2.0, 2, 30, 5, 1.0),
        worst.WorstId("Cy", 4.0, 1, 30, 5, None), worst.WorstId(None, 1.2, 1, 99, 0, None),
    ]  # fmt: skip
    assert found["item"] == []
    assert worst.text(found["user"], False) == "Bob* 2.5000, Ann 2.0000, Cy* 4.0000"


def test_the_file_of_the_worst_ids() -> None:
    (section,) = contents.build(listed()).sections
    text = worst.table([(entry, section.worst[entry.key]) for entry in section.entries])
    lines = [line for line in csv.DictReader(io.StringIO(text)) if line["field"] == "user"]
    assert [(one["name"], one["place"], one["id"], one["has_row"]) for one in lines] == [
        ("full", "1", "Ann", "1"), ("full", "2", "'=2+2", "1"), ("qr budget=0.1", "1", "Bob", "1"),
        ("qr budget=0.1", "2", "Ann", "1"), ("qr budget=0.1", "3", "Cy", "1"), ("qr budget=0.1", "4", "", "0"),
    ]  # fmt: skip
    assert [lines[3][name] for name in ("error", "full_error", "listed_by_seeds", "seeds")] == [
        "2.0",
        "1.0",
        "2",
        "2",
    ]
    groups = json.loads(tables.as_json(contents.build(listed())))["groups"]
    assert [one["id"] for one in groups[1]["val_mae_worst_ids"]["user"]] == ["Bob", "Ann", "Cy", None]


def test_the_page_has_a_choice_of_fields_and_the_worst_ids() -> None:
    report = contents.build(listed()[:2] + [one.with_(val_mae_by_field={"user": FULL, "<b>": FULL, "item": FULL})
                                            for one in listed()[2:]])  # fmt: skip
    (section,) = report.sections
    text = page.page(report, "e", page.Drawn({section.key: plots.specifications(section)}, ""))
    assert re.findall(r'<option value="([^"]+)">([^<]+)</option>', text) [-3:] == [
        ("item", "items"), ("user", "users"), ("&lt;b&gt;", "the ids of &lt;b&gt;"),
    ]  # fmt: skip
    assert "<td>Bob* 2.5000, Ann 2.0000, Cy* 4.0000</td>" in text and "<li>qr budget=0.1: the rarest" in text
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])["sets"][section.key]["tenths"]
    drawn = rows.data(section)["tenths"]  # of the first field, as in pictures
    assert {(key, at): mean for key, places in data["item"].items() for at, mean, _, _ in places} == {
        (one["id"], one["at"]): pytest.approx(one["mean"], abs=1e-6) for one in drawn
    }
    assert set(data["user"]) == {entry.key for entry in section.entries}


def test_a_page_of_one_field_has_no_choice() -> None:
    report = contents.build([made("full", 0), made("qr", 0, 0.7, 0.1)])
    (section,) = report.sections
    text = page.page(report, "e", page.Drawn({section.key: plots.specifications(section)}, ""))
    assert "<select class" not in text and "<h3>Error by popularity of items</h3>" in text
    assert 'class="worst"' not in text and worst.FILE in files.files(report, "e", lambda: "")
