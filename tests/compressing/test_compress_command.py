"""``python -m bench.compress``: from a table to a folder that answers, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT, Commands, error_line
from marks import slow_but

from bench.cli import compress
from bench.compressing import choosing
from bench.compressing import run as work
from bench.embeddings.registry import find, names
from bench.exporting import checking, writing
from bench.serving import ServingError, compare, load, manifest
from bench.serving.layout import digest


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for each test; exports are compared in this process, but by whole commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checking, "_ask", lambda module, *given: compare.main(*given))


def table(rows: int = 300, width: int = 8, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    np.save("items.npy", made)
    return made


def compressed(*arguments: str, folder: str = "shop") -> Any:
    assert compress.main(["items.npy", f"output_dir={folder}", *arguments]) == 0
    return load(folder, verify=True)


def said(capsys: Any, *arguments: str) -> str:
    """The one line of a refused command, which leaves nothing."""
    capsys.readouterr()
    before = sorted(Path.cwd().iterdir())
    code = compress.main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and len(lines) == 1 and lines[0].startswith("error: "), (code, lines)
    assert sorted(Path.cwd().iterdir()) == before
    return lines[0]


def tree(folder: str = "shop") -> Any:
    return json.loads(Path(folder, "export.json").read_text())


def test_the_whole_command(data_dir: Path, tmp_path: Path) -> None:
    made = table(2000, 16)
    Path("ids.txt").write_text("".join(f"sku-{n * 7 % 2000}\n" for n in range(2000)))
    arguments = ("items.npy", "method=ptq_int8", "output_dir=new/shop", "ids=ids.txt", "field=sku")
    done = Commands(tmp_path, data_dir).start(*arguments, module="bench.compress").wait()
    assert (done.code, done.err) == (0, ""), done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert done.out.startswith(
        "wrote new/shop: 2,000 rows of width 16 by ptq_int8 range_dtype=float32 clipping=none\n"
    )
    assert lines[1] == ["bytes", "before,", "float32", "128,000"] and lines[2] == ["bytes", "after", "48,000"]
    assert lines[3] == ["times", "smaller", "2.67"] and lines[-1][:2] == ["recall@10,", "cosine"]
    assert sorted(path.name for path in Path("new").iterdir()) == ["shop"]
    code = (
        "import sys; from bench.serving import load; t = load('new/shop', verify=True);"
        "print(*t.lookup('sku', ['sku-7'])[0], *[m for m in ('keras', 'tensorflow', 'sklearn') if m in sys.modules])"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    vector = np.array(fresh.stdout.split(), np.float64)
    step = (made[1].max() - made[1].min()) / 255
    assert np.abs(vector - made[1]).max() <= step * 0.51, fresh.stderr
    found = tree("new/shop")
    assert found["run"] == {
        "dataset": "items.npy", "part": "", "dtype": "float32", "task": None, "strategy": "ptq_int8", "seed": 0,
    }  # fmt: skip
    assert found["left_out"] == {"predict": "a table has no model"} and found["model"] is None
    size = found["bytes"]
    assert size["promised"] == size["served"] == 48_000 and size["full"] == 128_000
    assert found["reconstruction"]["queries"] == 1000 and found["promise"] == {"fields.sku": 0.0}
    card = Path("new/shop/README.md").read_text()
    assert "# ptq_int8 of items.npy" in card and "tables.lookup(\"sku\", ['sku-0'])" in card
    assert "| recall@10, cosine | 0.9" in card and "Left out: predict, because a table has no model." in card


def test_nothing_slow_is_imported():
    code = (
        "import sys; from bench.cli import compress\n"
        "{}\n"
        "slow = ('tensorflow', 'keras', 'pandas', 'mlflow', 'sklearn', 'hydra', 'pyarrow')\n"
        "print([m for m in slow if m in sys.modules])"
    )
    table()
    for way in ("['--help']", "['items.npy', 'method=svd', 'rank=9', 'output_dir=a']"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(f"compress.main({way})")], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "[]", (way, done)


@pytest.mark.slow
@pytest.mark.parametrize("name", choosing.post_training())
def test_no_method_needs_keras(name):
    table()
    code = (
        "import sys; from bench.cli import compress\n"
        f"compress.main(['items.npy', 'method={name}', 'output_dir=shop'])\n"
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.startswith("wrote shop") and done.stdout.endswith("\n[]\n"), done


def test_methods_are_found_by_their_parents():
    assert choosing.post_training() == (
        "float16", "float8", "full", "pq", "prune", "ptq_int2", "ptq_int4", "ptq_int8", "sparse_coding", "svd",
    )  # fmt: skip
    assert {*choosing.post_training()} < {*names()}


@pytest.mark.parametrize("name", slow_but(set(choosing.post_training()) - {"pq"}, choosing.post_training()))
def test_every_method(name):
    made = table()
    tables = compressed(f"method={name}")
    cls = find(name)
    method = cls(work.Vocabulary("item", 300), 8, cls.Settings())
    assert tree()["bytes"]["served"] == method.nbytes
    apart = np.sqrt(np.mean((tables.lookup("item", range(300)) - made) ** 2))
    assert tree()["reconstruction"]["rmse"] == pytest.approx(apart, rel=1e-5, abs=1e-9)


def test_a_copy_is_a_copy():
    made = table()
    tables = compressed("method=full")
    np.testing.assert_array_equal(tables.lookup("item", np.arange(300)), made)
    lost = tree()["reconstruction"]
    assert lost["rmse"] == 0 and lost["recall_inner_product"] == lost["recall_cosine"] == 1


def test_pq_of_few_distinct_parts_loses_nothing():
    """Each half of a vector is one of 16: 16 codes a part say all."""
    rng = np.random.default_rng(3)
    parts = rng.normal(size=(2, 16, 4)).astype(np.float32)
    made = np.concatenate([parts[0][rng.integers(0, 16, 500)], parts[1][rng.integers(0, 16, 500)]], axis=1)
    np.save("items.npy", made)
    tables = compressed("method=pq", "num_parts=2", "num_codes=16")
    np.testing.assert_array_equal(tables.lookup("item", np.arange(500)), made)
    lost = tree()["reconstruction"]
    assert lost["rmse"] == 0 and lost["recall_cosine"] == 1
    assert tree()["bytes"]["served"] == 500 * 1 + 2 * 16 * 4 * 4  # 2 x 4 bits an id


def test_svd_of_a_table_of_low_rank_loses_nothing():
    rng = np.random.default_rng(4)
    np.save("items.npy", (rng.normal(size=(400, 3)) @ rng.normal(size=(3, 12))).astype(np.float32))
    compressed("method=svd", "rank=3")
    assert tree()["reconstruction"]["relative_error"] < 1e-6


def test_prune_keeps_the_largest():
    made = table()
    tables = compressed("method=prune", "nnz=50")
    smallest = np.sort(np.abs(made).reshape(-1))[-50]
    np.testing.assert_array_equal(
        tables.lookup("item", range(300)), np.where(np.abs(made) >= smallest, made, 0)
    )


@pytest.mark.slow
def test_arrays_are_those_of_a_run_with_the_same_table():
    """The draws are those of ``CompressedEmbedding.to_served``."""
    from bench.embeddings.layer import CompressedEmbedding

    made = table(2000, 8)
    tables = compressed("method=pq", "num_codes=16", "seed=5")
    cls = find("pq")
    layer = CompressedEmbedding(cls(work.Vocabulary("item", 2000), 8, cls.Settings(num_codes=16)))
    layer.build()
    layer.set_arrays({"table": made})
    for name, array in layer.to_served(5).arrays().items():
        np.testing.assert_array_equal(tables._arrays[f"fields/item/{name}"], array)


def test_budgets():
    table(4000, 16)
    for budget, most in (("0.2", 51_200), ("20KB", 20_000), ("20KiB", 20_480)):
        compressed("method=prune", f"budget={budget}", "sample=0", folder=budget)
        assert 0.99 * most < tree(budget)["bytes"]["served"] <= most
    compressed("method=svd", "budget=smallest", "sample=0", folder="smallest")
    assert tree("smallest")["fields"]["item"]["settings"]["rank"] == 1
    assert tree("smallest")["reconstruction"]["recall_cosine"] is None


def test_a_table_that_a_method_would_make_larger_stays_as_it_is(capsys):
    table(3, 1)
    compressed("method=ptq_int8", "budget=smallest")
    out = capsys.readouterr().out
    assert "ptq_int8 would take more bytes than the table as it is, so the table was not compressed" in out
    assert tree()["fields"]["item"]["method"] == "full"


def test_ids_of_all_kinds():
    made = table(4, 2)
    assert compressed("method=full", folder="rows").lookup("item", [3, "0"]).tolist() == made[[3, 0]].tolist()
    assert tree("rows")["fields"]["item"]["ids"]["kind"] == "range" and tree("rows")["bytes"]["ids"] == 0
    for number, (lines, asked, kind) in enumerate([
        ("x\ny\nü\n42\n", ["ü", 42, "x"], "text"), ("9\n4\n-1\n100\n", [-1, "100", 9], "integers"),
        (f"{'l' * 70}\nb\nc\nd\n", ["c", "d", "l" * 70], "long_text"), ("5\n6\n7\n8\n", ["7", 8, 5], "range"),
    ]):  # fmt: skip
        Path("ids").write_text(lines, encoding="utf-8")
        tables = compressed("method=full", "ids=ids", folder=str(number))
        assert tables.lookup("item", asked).tolist() == made[[2, 3, 0]].tolist()
        assert tree(str(number))["fields"]["item"]["ids"]["kind"] == kind
        assert not tables.known("item", ["no"])[0]


def test_the_fingerprint_is_of_all_that_decides():
    def made(*arguments: str) -> str:
        folder = f"f{len(list(Path.cwd().iterdir()))}"
        compressed(*arguments, folder=folder)
        return str(tree(folder)["fingerprint"])

    table()
    first = made("method=svd")
    # the same size; and what is measured decides nothing
    assert made("method=svd", "sample=0", "rank=2") == first
    Path("ids").write_text("".join(f"{n}\n" for n in reversed(range(300))))
    others = [made("method=svd", one) for one in ("seed=1", "rank=4", "field=user", "ids=ids")]
    others.append(made("method=full"))
    table(seed=1)
    assert len({first, made("method=svd"), *others}) == 7


def test_what_is_wrong_is_said_in_a_line(capsys):
    table()
    good = ("items.npy", "output_dir=shop", "method=pq")
    cases = {
        ("output_dir=shop", "method=pq"): "TABLE: missing; give one file, such as items.npy",
        (*good, "more.npy"): "more.npy: a second table; give one file",
        ("items.npy", "method=pq"): "output_dir=: missing; give output_dir=shop",
        ("items.npy", "output_dir=shop"): "method=: missing; give method=pq",
        (*good, "seed=1", "seed=2"): "seed=2: seed is given twice",
        (*good, "budget="): "budget=: give a value",
        (*good, "--force"): "--force: no such option",
        (*good[:2], "method=qr"): "method=qr: qr is trained with a model (python -m bench.run strategy=qr); a finished",
        (*good[:2], "method=svdd"): "method=svdd: no such method; did you mean svd?; a finished table can be",
        (*good, "rank=3"): "rank=3: the method pq has no such setting; method=svd has it (it has: fine_tune, num",
        (*good, "num_part=3"): "num_part=3: the method pq has no such setting; did you mean num_parts?",
        (*good, "out_dir=3"): "out_dir=3: the method pq has no such setting; did you mean output_dir?",
        (*good[:2], "method=full", "x=1"): "x=1: the method full has no such setting (it has: initializer)",
        (*good, "num_parts=many"): "num_parts=many: give a whole number, at least 1, or null",
        (*good, "num_parts=0"): "num_parts=0: give a whole number, at least 1",
        (*good, "num_parts=9"): "num_parts=9: give 1 to embedding_dim=8",
        (*good, "num_parts=2.5"): "num_parts=2.5: give a whole number",
        (*good, "num_parts=[1"): "num_parts=[1: cannot be read as a value",
        (*good, "num_codes=257"): "num_codes=257: give 1 to 256, what a byte can tell apart",
        (*good[:2], "method=ptq_int8", "clipping=greed"): "did you mean greedy?",
        (*good[:2], "method=prune", "nnz=3", "density=0.1"): "density=0.1: nnz=3 says how many weights are kept",
        (*good[:2], "method=prune", "nnz=2401"): "nnz=2401: too large for item (at most 2400)",
        (*good[:2], "method=svd", "row_weights=counts"): "row_weights=counts: a finished table comes without",
        (*good, "budget=2"): "budget=2: give a number, above 0 and at most 1, or smallest, or a number of bytes",
        (*good, "budget=0"): "budget=0: give a number, above 0",
        (*good, "budget=12"): "budget=12: give a number",
        (*good, "budget=12QB"): "budget=12QB: give a number",
        (*good, "budget=0.01"): "the smallest that can is budget=",
        (*good[:2], "method=float16", "budget=0.4"): "the smallest that can is budget=0.5",
        (*good, "fine_tune=true"): "fine_tune=true: trains the model further, and a finished table",
        (*good, "seed=-1"): "seed=-1: give a whole number, at least 0",
        (*good, "sample=-1"): "sample=-1: give a whole number, at least 0",
        (*good, "sample=all"): "sample=all: give a whole number",
        (*good, "field=a/b"): "field=a/b: give letters without accents, digits and _",
        (*good, "ids=no"): "no: not found; give a file of ids",
        (*good, "tensor=a"): "tensor=a: for a .safetensors file",
        ("no.npy", *good[1:]): "no.npy: not found; give a table's file",
        ("items.csv", *good[1:]): "items.csv: no ending of a table that can be read",
    }  # fmt: skip
    for arguments, wanted in cases.items():
        assert wanted in said(capsys, *arguments), arguments
    Path("shop").mkdir()
    Path("shop", "mine").touch()
    assert "is not empty; give a folder that is empty or not there yet" in said(capsys, *good)
    Path("shop", "mine").unlink()
    made = table()
    made[17, 3] = np.nan
    np.save("items.npy", made)
    assert "items.npy: row 17, column 3 is nan; give finite numbers" in said(capsys, *good)
    table()
    assert compress.main(good) == 0  # an empty folder is taken


def test_a_path_with_an_equal_sign_is_a_table():
    Path("run=3").mkdir()
    np.save("run=3/items.npy", np.ones((3, 2), np.float32))
    assert compress.main(["./run=3/items.npy", "method=full", "output_dir=shop"]) == 0


def test_an_export_that_differs_or_does_not_fit_leaves_nothing(capsys, monkeypatch):
    table()
    good, before = ["items.npy", "output_dir=shop", "method=svd"], sorted(Path.cwd().iterdir())

    def failed() -> str:
        assert compress.main(good) == 1
        assert sorted(Path.cwd().iterdir()) == before
        return capsys.readouterr().err

    of_field = checking.of_field

    def moved(*given: Any) -> Any:
        found = of_field(*given)
        return {**found, "vectors/0": found["vectors/0"] + 1}

    with monkeypatch.context() as patch:
        patch.setattr(checking, "of_field", moved)
        assert "fields.item: the export differs from the description by 1, more than" in failed()
    with monkeypatch.context() as patch:
        patch.setattr(checking, "_ask", lambda *given: {"error": "killed"})
        assert "the export cannot be used (killed); nothing was kept" in failed()

    def full(*given: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_arrays", full)
        assert "cannot be written (No space left on device); free some space" in failed()


def test_what_an_altered_manifest_says_is_refused():
    table()
    compressed("method=full")
    path = Path("shop", "export.json")
    for change, wanted in (
        ({"rmse": "no"}, "reconstruction: rmse is no number"),
        ({"more": 1}, "reconstruction: 'more' is no key of format version"),
    ):
        found = tree()
        found["reconstruction"].update(change)
        found["digest"] = digest(found)
        path.write_text(json.dumps(found))
        with pytest.raises(ServingError, match=wanted):
            manifest.read(Path("shop"))
        del found["reconstruction"]["more" if "more" in change else "rmse"]
        found["reconstruction"]["rmse"] = 0.0
        found["digest"] = digest(found)
        path.write_text(json.dumps(found))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_in_the_middle_leaves_nothing(number, code, data_dir, tmp_path):
    table(200_000, 64)
    arguments = ("items.npy", "method=pq", "output_dir=new/shop")
    running = Commands(tmp_path, data_dir).start(*arguments, module="bench.compress")
    running.until(lambda: "compressing with pq" in running.said())
    os.kill(running.process.pid, getattr(signal, number))
    done = running.wait()
    assert done.code == code and done.err.splitlines()[-1] == "error: interrupted; nothing was written"
    assert [path.name for path in tmp_path.iterdir()] == ["items.npy"]


@pytest.mark.slow
def test_a_kill_in_the_middle_leaves_no_folder_of_that_name(data_dir, tmp_path):
    table(50_000, 32)
    arguments = ("items.npy", "method=ptq_int8", "output_dir=shop", "sample=0")
    running = Commands(tmp_path, data_dir).start(*arguments, module="bench.compress")
    running.until(lambda: any(tmp_path.glob(".shop.partial-*")))
    running.kill()
    left = {path.name for path in tmp_path.iterdir()} - {"items.npy"}
    assert len(left) == 1 and left.pop().startswith(".shop.partial-")
    again = Commands(tmp_path, data_dir).start(*arguments, module="bench.compress").wait()
    assert again.code == 0, again.err
    assert load(tmp_path / "shop", verify=True).fields == ("item",)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk in memory")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(small_disk, data_dir, tmp_path):
    table(80_000, 8)
    arguments = ("items.npy", "method=float16", "output_dir=disk/shop", "sample=10")
    done = Commands(tmp_path, data_dir).start(*arguments, module="bench.compress").wait()
    assert done.code == 1, done.err
    assert "cannot be written (No space left on device); free some space" in error_line(done)
    assert list(small_disk.iterdir()) == []
