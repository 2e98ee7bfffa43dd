"""The command ``python -m bench.init``."""

from __future__ import annotations

import gzip
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import yaml
from commands import ROOT, Commands, error_line

import bench.data
from bench.cli.init import main
from bench.config import Loader, compose
from bench.data.interactions import Interactions

ROWS = 400


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, in which the commands run."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def rows() -> list[tuple[int, int, int, int]]:
    """A user, an item, stars and seconds, in each row."""
    draw = random.Random(0)
    return [
        (draw.randrange(40), draw.randrange(30), draw.randrange(1, 6), 880_000_000 + 1000 * n)
        for n in range(ROWS)
    ]


def write(name: str, header: str, line: str, encoding: str = "utf-8") -> None:
    """Writes a file of a header and ``ROWS`` lines, in which ``u``, ``i``, ``s``, ``t`` and ``n`` are filled in."""
    lines = [line.format(u=u, i=i, s=s, t=t, n=n) for n, (u, i, s, t) in enumerate(rows())]
    text = "".join(f"{one}\n" for one in [*([header] if header else []), *lines])
    content = text.encode(encoding)
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def proposed(*arguments: str) -> dict[str, object]:
    """What the written settings file holds."""
    assert main([*arguments, "--force"]) == 0
    (path,) = Path("conf/dataset").glob("*.yaml")
    found: dict[str, object] = yaml.safe_load(path.read_text("utf-8"))
    return found


def loaded(capsys: pytest.CaptureFixture[str], *overrides: str) -> Interactions:
    """The data of the settings file, with the model that the printed command names."""
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert command[:5] == ["python", "-m", "bench.run", "--config-dir", "conf"]
    settings = compose([*command[5:], *overrides], Loader(("conf",)))
    return bench.data.load(settings.dataset, Path("data"))


# What is proposed


def test_a_shop_s_orders(capsys: pytest.CaptureFixture[str]) -> None:
    header = "order_ts,customer,sku,stars,store,price,order,text,country"
    write("orders.csv.gz", header,
          "2024-01-01T00:{u:02d}:{i:02d},C{u},{i:04d},{s},S{n[0]},{n}.50,A{n},a text of words {n},de".replace(
              "{n[0]}", "{s}{u}"))  # fmt: skip
    found = proposed("orders.csv.gz")
    text = capsys.readouterr().out
    assert main(["orders.csv.gz", "--force"]) == 0
    assert found["name"] == "orders" and found["path"] == "orders.csv.gz"
    assert found["fields"] == ["customer", "sku", "store"]
    assert found["dense"] == ["price"] and found["transforms"] == {"price": "log1p"}
    assert found["label"] == "stars" and found["timestamp"] == "order_ts"
    assert found["user_field"] == "customer" and found["item_field"] == "sku"
    assert found["split"] == {"kind": "time"} and found["missing"] == "refuse" == found["bad_rows"]
    reasons = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    assert "free text" in reasons["text"] and "key of rows" in reasons["order"]
    assert "the same in all rows" in reasons["country"] and "by its name" in reasons["stars"]
    written = Path("conf/dataset/orders.yaml").read_text("utf-8")
    for line in written.splitlines()[1:]:
        assert "#" in line or line in ("", "defaults:", "split:"), line
    data = loaded(capsys)
    assert (
        list(data.fields) == ["customer", "sku", "store"] and data.dense_dim == 1 and data.item_field == "sku"
    )
    assert len(data.train) == 340 and len(data.evaluation) == 60


def test_two_fields_take_the_dot_product(capsys: pytest.CaptureFixture[str]) -> None:
    write("ratings.csv", "userId,movieId,rating,timestamp", "{u},{i},{s}.0,{t}")
    found = proposed("ratings.csv")
    out = capsys.readouterr().out
    assert "model=dot" in out and "model=neumf" not in out
    assert found["fields"] == ["userId", "movieId"] and found["timestamp"] == "timestamp"
    write("three.csv", "user,item,city,stars", "u{u},i{i},c{s}{u},{s}")
    assert main(["three.csv"]) == 0
    assert "model=neumf" in capsys.readouterr().out


def test_no_header_gets_names_by_what_columns_hold(capsys: pytest.CaptureFixture[str]) -> None:
    write("u.data", "", "{u}\t{i}\t{s}\t{t}")
    found = proposed("u.data")
    assert found["header"] is False and found["separator"] == "tab"
    assert found["names"] == ["user", "item", "label", "timestamp"] and found["fields"] == ["user", "item"]
    data = loaded(capsys)
    assert data.fields["user"].size == 40 and data.fields["item"].size == 30
    assert len(data.train) + len(data.evaluation) == ROWS
    assert found["label"] == "label" and found["timestamp"] == "timestamp"


def test_clicks(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"u{u},a{i},d{u % 3},{int(s > 3)}" for u, i, s, _ in rows()]
    Path("clicks.csv").write_text("\n".join(["uid,ad_id,device,click", *lines]))
    found = proposed("clicks.csv")
    assert found["label"] == "click" and found["split"] == {"kind": "random"}
    assert re.search(r"^task +click +click is 0 or 1$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(("name", "header", "line", "fields"), [
    ("semi.csv", "user;item;stars", "u{u};i{i};{s}", 2),
    ("pipes.csv", "user|item|stars", "u{u}|i{i}|{s}", 2),
    ("noending", "user,item,stars", "u{u},i{i},{s}", 2),
    ("space.txt", "user item stars", "u{u} i{i} {s}", 2),
    ("städte für alle (1).csv", "Straße nr,Bücher titel,Bewertung,größe", "s {u},b {i},{s},{n}.5", 2),
    ("${now:x}, 'a=b'.csv", "user,item,stars", "u{u},i{i},{s}", 2),
    ("2024.csv", "true,null,stars,a: b,c#d", "u{u},i{i},{s},x{u}{s},y{i}{s}", 4),
    ("table.csv", "user,item,stars", "u{u},i{i},{s}", 2),
    ("bom.csv", "\ufeffuser,item,stars\r", "u{u},i{i},{s}\r", 2),
    ("[list].csv", "user,item,stars", "u{u},i{i},{s}", 2),
])  # fmt: skip
def test_what_is_written_can_be_loaded(
    name: str, header: str, line: str, fields: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write(name, header, line)
    assert main([name]) == 0
    data = loaded(capsys)
    assert len(data.fields) == fields and len(data.train) + len(data.evaluation) == ROWS


def test_a_name_that_is_no_utf_8() -> None:
    write("plain.csv", "user,item,stars", "u{u},i{i},{s}")
    name = os.fsdecode(b"not-\xff.csv")
    Path("plain.csv").rename(name)
    command, environment = [sys.executable, "-m", "bench.init", name], {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    (path,) = Path("conf/dataset").glob("*.yaml")
    settings = compose([f"dataset={path.stem}", "model=dot"], Loader(("conf",)))
    assert settings.dataset.path == Path.cwd() / name


def test_missing_and_odd_values_are_counted_and_kept_or_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"u{u},i{i},{'NA' if n % 50 == 0 else s},{'' if u % 4 == 0 else f'c{u % 7}'},{'' if n % 8 == 0 else u / 3}"
             for n, (u, i, s, _) in enumerate(rows())]  # fmt: skip
    Path("some.csv").write_text("\n".join(["user,item,stars,city,share", *lines, "u1,i1,2"]))
    found = proposed("some.csv")
    assert found["missing"] == "keep" and found["bad_rows"] == "drop" and found["dense"] == ["share"]
    out = capsys.readouterr().out
    without = sum(u % 4 == 0 for u, *_ in rows())
    assert f"city in {without} rows" in out and "share in 50 rows" in out
    assert "stars cannot be read in 8 rows; another number of columns in 1 row" in out
    main(["some.csv", "--force"])
    data = loaded(capsys)
    assert data.fields["city"].size == 8 and len(data.train) + len(data.evaluation) == ROWS - 8


def test_an_open_quote_makes_quotes_letters(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"u{u}\ti{i}\t{s}\t{'“' if n else chr(34)}well {n}" for n, (u, i, s, _) in enumerate(rows())]
    Path("quote.tsv").write_text("\n".join(["user\titem\tstars\tremark", *lines]), "utf-8")
    assert proposed("quote.tsv")["quoting"] == "none"
    assert "quotes are letters" in capsys.readouterr().out
    main(["quote.tsv", "--force"])
    assert len(loaded(capsys).train) == 340


def test_columns_that_say_the_same_or_share_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    write("twice.csv", ",user,item,title,stars,note,note", "{n},u{u},i{i},title of {i},{s},a{s}{u},b{u}{s}")
    assert proposed("twice.csv")["fields"] == ["user", "item"]
    out = capsys.readouterr().out
    assert "says the same as item" in out and "several columns have this name" in out and "no name" in out


def test_parquet(capsys: pytest.CaptureFixture[str]) -> None:
    import datetime

    of = rows()
    times = [datetime.datetime.fromtimestamp(t, datetime.UTC) for *_, t in of]
    parquet.write_table(pa.table({
        "user": [u for u, *_ in of], "item": [f"i{i}" for _, i, *_ in of], "stars": [s / 2 for _, _, s, _ in of],
        "at": times, "tags": [["x"]] * ROWS, "a.b": [f"z{u % 3}" for u, *_ in of], "none": pa.nulls(ROWS),
    }), "p.parquet")  # fmt: skip
    found = proposed("p.parquet")
    assert found["fields"] == ["user", "item", "a.b"] and found["timestamp"] == "at"
    out = capsys.readouterr().out
    assert "holds list" in out and "empty" in out
    main(["p.parquet", "--force"])
    assert list(loaded(capsys).fields) == ["user", "item", "a_b"]


def test_a_pattern_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("parts").mkdir()
    for number in range(2):
        write(f"parts/{number}.csv", "user,item,stars", "u{u},i{i},{s}")
    found = proposed("parts/*.csv")
    assert found["path"] == "parts/*.csv" and found["name"] == "parts"
    data = loaded(capsys)
    assert len(data.train) + len(data.evaluation) == 2 * ROWS


def test_a_file_elsewhere_has_its_whole_path(tmp_path: Path) -> None:
    write("../away.csv", "user,item,stars", "u{u},i{i},{s}")
    assert proposed("../away.csv")["path"] == str(tmp_path / "away.csv")


# What is asked for


def test_columns_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    write("all.csv", "user,item,rating,score,age,when", "u{u},i{i},{s},{s}{u},{u},{t}")
    assert main(["all.csv"]) == 2
    assert "--label rating or score" in capsys.readouterr().err
    found = proposed(
        "all.csv", "--label", "score", "--fields", "item,user", "--dense", "age", "--timestamp", "when"
    )
    assert (found["label"], found["dense"], found["timestamp"]) == ("score", ["age"], "when")
    assert found["fields"] == ["user", "item"]
    found = proposed("all.csv", "--label", "score", "--fields", "user,item")
    assert "dense" not in found and found["split"] == {"kind": "time"}


def test_another_name_and_folder(capsys: pytest.CaptureFixture[str]) -> None:
    write("all.csv", "user,item,rating", "u{u},i{i},{s}")
    assert main(["all.csv", "--name", "mine", "--config-dir", "my own"]) == 0
    assert yaml.safe_load(Path("my own/dataset/mine.yaml").read_text())["name"] == "mine"
    assert "--config-dir 'my own' dataset=mine" in capsys.readouterr().out


def test_nothing_is_written_over_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    write("all.csv", "user,item,rating", "u{u},i{i},{s}")
    assert main(["all.csv"]) == 0
    path = Path("conf/dataset/all.yaml")
    path.write_text("mine")
    assert main(["all.csv"]) == 2 and path.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert main(["all.csv", "--force"]) == 0 and "name: all" in path.read_text()


def test_only_the_first_rows_are_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    write("all.csv", "user,item,rating", "u{u},i{i},{s}")
    with Path("all.csv").open("a") as file:
        file.write("".join(f"u1,i1,{n % 5}\n" for n in range(2000)))
    assert main(["all.csv", "--rows", "50"]) == 0
    assert "the first 1,000 rows" in capsys.readouterr().out


# What is refused


def big(columns: int) -> str:
    return ",".join(f"c{n}" for n in range(columns))


@pytest.mark.parametrize(("content", "words"), [
    (b"", "no rows"),
    (b"user,item,stars\n", "no rows"),
    (b"stars\n1\n2\n", "one column"),
    (b"1::2::3\n2::1::4\n", "if by several"),
    (b"user,item\na,b\nc,d\n", "no column of numbers"),
    (b"user,item,stars\na,b,5\nc,d,5\n", "nothing to learn"),
    (b"user,stars\na,5\na,4\nb,4\n", "user alone"),
    (b"user,item,item,stars\na,b,c,5\nb,b,c,4\n", "several are called item"),
    ("user,item,stars\na,b,5\n".encode("utf-16"), "UTF-16"),
    (b"user,item,stars\n\xfc,b,5\n\xfd,d,4\n", "not UTF-8"),
    (b"user,item,rating,score\na,b,5,1\nc,d,4,2\n", "rating or score"),
    (f"{big(5000)}\n{big(5000)}\n".encode(), "5,000 columns"),
    (b"\x00\x01\x02\x00", "data.csv"),
])  # fmt: skip
def test_files_that_cannot_be_used(content: bytes, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.csv").write_bytes(content)
    assert main(["data.csv"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and words in err and len(err) < 500
    assert not Path("conf").exists()


def test_what_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe.csv")
    Path("bad.csv.gz").write_text("no gzip")
    Path("bad.parquet").write_text("no parquet")
    Path("folder").mkdir()
    for name, words in (
        ("pipe.csv", "a pipe or a device"),
        ("/dev/zero", "a pipe or a device"),
        ("folder", "a directory"),
        ("none.csv", "no such file"),
        ("none*.csv", "no such file"),
        ("bad.csv.gz", "cannot be read"),
        ("bad.parquet", "cannot be read"),
    ):
        assert main([name]) == 2, name
        err = capsys.readouterr().err
        assert err.startswith(f"error: {name}") and words in err and err.count("\n") == 1


@pytest.mark.parametrize(("arguments", "words"), [
    (["--label", "strs"], "did you mean stars?"),
    (["--label", "user"], "holds text"),
    (["--fields", "user,itme"], "did you mean item?"),
    (["--fields", "user"], "user alone"),
    (["--fields", ","], "give names of columns"),
    (["--dense", "user"], "holds text"),
    (["--timestamp", "user"], "holds text"),
    (["--label", "stars", "--dense", "stars"], "named twice"),
    (["--name", "table"], "of the harness"),
    (["--name", "a/b"], "letters, digits"),
    (["--rows", "none"], "whole number"),
    (["--separator", "::"], "one character"),
    (["--nosuch"], "--help says more"),
    (["more.csv"], "--help says more"),
])  # fmt: skip
def test_wrong_arguments(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    write("data.csv", "user,item,stars", "u{u},i{i},{s}")
    assert main(["data.csv", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and words in err
    assert not Path("conf").exists()


def test_a_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    write("data.csv", "user,item,stars", "u{u},i{i},{s}")
    assert main(["data.csv", "--config-dir", "data.csv"]) == 1
    assert "--config-dir" in capsys.readouterr().err


# As a command


def test_help_is_quick() -> None:
    code = ("import sys; from bench.cli.init import main; code = main(sys.argv[1:]); "
            "print(sorted({'tensorflow', 'keras', 'mlflow', 'pandas', 'pyarrow', 'numpy', 'hydra'} & {*sys.modules})); "
            "sys.exit(code)")  # fmt: skip
    for arguments, exit_code in (["--help"], 0), ([], 0), (["x.csv", "--rows", "0"], 2):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == exit_code and done.stdout.splitlines()[-1] == "[]"


def test_a_wrong_file_ends_the_command_in_a_line(here: Path, tmp_path: Path) -> None:
    commands = Commands(here, tmp_path / "data")
    done = commands.start("none.csv", module="bench.init", PYTHONPATH=str(ROOT)).wait()
    assert done.code == 2 and "none.csv: no such file" in error_line(done)


@pytest.mark.slow
def test_the_printed_commands_run(here: Path, tmp_path: Path) -> None:
    commands = Commands(here, tmp_path / "data")
    write(
        "orders.csv.gz",
        "order_ts,customer,sku,stars,store",
        "2024-01-01T00:{u:02d}:{i:02d},C{u},{i},{s},S{u}{s}",
    )
    done = commands.start("orders.csv.gz", module="bench.init", PYTHONPATH=str(ROOT)).wait()
    assert done.code == 0, done.err
    plan, run = (shlex.split(line)[3:] for line in done.out.splitlines()[-2:])
    planned = commands.run(*plan, PYTHONPATH=str(ROOT))
    assert planned.code == 0 and "1 to train" in planned.out, planned.err
    ran = commands.run(*run, "training.epochs=1", "strategy=qr", "budget=0.5", PYTHONPATH=str(ROOT))
    assert ran.code == 0, ran.err
    assert ran.result["dataset"] == "orders" and {*ran.result["embeddings"]} == {"customer", "sku", "store"}
