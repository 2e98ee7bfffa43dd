"""A run among what a user has set up: keras.json, the folder of temporary files, hydra.job.chdir, passwords."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import DIVERGES, Commands, error_line, result_in

pytestmark = pytest.mark.slow

ODD = {
    "floatx": {"floatx": "float16"},
    "more": {"floatx": "float64", "epsilon": 0.1, "image_data_format": "channels_first", "backend": "torch"},
    "not JSON": None,
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_the_users_keras_json_changes_nothing(commands: Commands, tmp_path: Path, content) -> None:
    home = tmp_path / "keras"
    home.mkdir()
    text = "{" if content is None else json.dumps(content)
    (home / "keras.json").write_text(text)
    plain = commands.small("strategy=qr", "training.epochs=1", "resume=false")
    odd = commands.small("strategy=qr", "training.epochs=1", "resume=false", KERAS_HOME=str(home))
    assert odd.code == 0, odd.err
    assert odd.result["val_mae"] == plain.result["val_mae"]
    assert (home / "keras.json").read_text() == text


def test_nothing_is_left_in_the_folder_of_temporary_files(commands: Commands, tmp_path: Path) -> None:
    place = tmp_path / "t"
    place.mkdir()
    cache = {"TMPDIR": str(place), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    (tmp_path / "cache").mkdir(mode=0o700)
    assert commands.small("strategy=qr", "training.epochs=1", **cache).code == 0
    assert commands.small("strategy=qr", *DIVERGES, **cache).code == 1
    workers = ("-m", "strategy=full,md", "training.epochs=1", "hydra/launcher=workers")
    assert commands.small(*workers, **cache).code == 0
    assert [path.name for path in place.iterdir()] == []


def test_a_batch_is_no_larger_than_the_data(commands: Commands) -> None:
    huge = commands.small("strategy=full", "training.batch_size=1000000", "training.epochs=1")
    assert huge.code == 0, huge.err
    whole = commands.small("strategy=full", "training.batch_size=4250", "training.epochs=1")
    assert huge.result["val_mae"] == whole.result["val_mae"]
    assert huge.result["lookup_us"] > 0


def test_a_run_in_its_own_folder_means_the_same_settings(commands: Commands) -> None:
    first = commands.small("strategy=qr", "training.epochs=1", "hydra.job.chdir=true")
    assert first.code == 0, first.err
    again = commands.small("strategy=qr", "training.epochs=1")
    assert again.result["status"] == "skipped"
    assert not list(first.folder.rglob("mlflow.db"))
    table = commands.cwd / "mine.csv"
    rows = [f"u{n % 40},i{n % 23},{1 + n % 5}" for n in range(400)]
    table.write_text("\n".join(["user,item,label", *rows]) + "\n")
    done = commands.run("dataset=table", "dataset.path=mine.csv", "training.epochs=1", "hydra.job.chdir=true")
    assert done.code == 0, done.err


def test_home_in_a_path_is_the_users_home(commands: Commands, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    own = ("results_dir='~/records'", "tracking.uri='sqlite:///~/runs.db'", "hydra.run.dir='~/out'")
    done = commands.small("strategy=qr", "training.epochs=1", *own, HOME=str(home))
    assert done.code == 0, done.err
    assert result_in(home / "out")["status"] == "finished"
    assert (home / "runs.db").exists() and len(list((home / "records").glob("*/record.json"))) == 1
    assert not (commands.cwd / "~").exists()


def test_a_password_is_written_nowhere(commands: Commands) -> None:
    uri = "postgresql://me:geh/ei@m x@127.0.0.1:9/db?sslpassword=hush"
    done = commands.small("strategy=qr", f"tracking.uri='{uri}'", "training.epochs=1")
    assert done.code in (1, 2)
    assert "geh/ei" not in error_line(done) and "hush" not in error_line(done)
    for path in commands.cwd.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"geh/ei" not in content and b"hush" not in content, path
