"""Compiled programs on disk: checked, bounded, and never another one."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from commands import Commands, result_in

from bench import compiled
from bench.compiled import Store

PROGRAM, FILE = "program_ab_0", "x__CPU.pb"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    exchange = compiled.exchange(tmp_path, 2, "build")
    assert exchange is not None
    made = tmp_path / "made"
    made.mkdir()
    (made / FILE).write_bytes(bytes(range(256)))
    assert exchange.store.keep(PROGRAM, made)
    assert not exchange.store.keep(PROGRAM, made)  # it is there
    return exchange.store


def lent(store: Store, folder: Path, program: str = PROGRAM) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    store.lend(program, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_kept_is_lent(store: Store, tmp_path: Path) -> None:
    assert lent(store, tmp_path / "lent") == {FILE: bytes(range(256))}
    assert lent(store, tmp_path / "other", "program_cd_0") == {}
    assert store.nbytes == 256 + compiled.SUM_BYTES
    assert [one.folder for one in compiled.stores(tmp_path)] == [store.folder]
    assert store.about()["threads"] == "2"


DAMAGES = {
    "a flipped bit": lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:],
    "cut": lambda content: content[:-7],
    "empty": lambda content: b"",
    "another program's content": lambda content: b"x" * len(content),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_removed_and_not_lent(store: Store, tmp_path: Path, damage) -> None:
    (path,) = store.files()
    path.write_bytes(damage(path.read_bytes()))
    assert lent(store, tmp_path / "lent") == {}
    assert store.files() == {}


def test_a_file_under_another_programs_name_is_not_lent(store: Store, tmp_path: Path) -> None:
    (path,) = store.files()
    path.rename(path.with_name("program_cd_0.y__CPU.pb"))
    assert lent(store, tmp_path / "lent", "program_cd_0") == {}


def test_the_ones_used_longest_ago_go_first(store: Store, tmp_path: Path) -> None:
    made = tmp_path / "made"
    for number in range(4):
        store.keep(f"program_{number}_0", made)
    for number, path in enumerate(sorted(store.files())):
        os.utime(path, (number, number))
    each = 256 + compiled.SUM_BYTES
    compiled.prune(store.folder.parent, limit=3 * each)
    assert len(store.files()) == 3
    assert min(info.st_mtime for info in store.files().values()) == 2
    compiled.prune(store.folder.parent, limit=0)
    assert store.files() == {}


def test_what_killed_processes_left_goes_after_a_day(store: Store) -> None:
    left = store.folder / f"{compiled.PROCESS}x"
    left.mkdir()
    compiled.prune(store.folder.parent)
    assert left.exists()
    compiled.prune(store.folder.parent, now=time.time() + compiled.ABANDONED_SECONDS + 1)
    assert not left.exists()


def test_other_threads_and_builds_have_stores_of_their_own(tmp_path: Path) -> None:
    folders = {
        compiled.exchange(tmp_path, threads, build).store.folder for threads in (1, 2) for build in ("a", "b")
    }
    assert len(folders) == 4


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert compiled.exchange(tmp_path / "file", 2, "build") is None


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, mode: int) -> None:
    exchange = compiled.exchange(tmp_path, 2, "build")
    exchange.store.folder.chmod(0o755)
    assert compiled.exchange(tmp_path, 2, "build") is not None
    exchange.store.folder.chmod(mode)
    assert compiled.exchange(tmp_path, 2, "build") is None


NUMBERS = ("val_mae", "train_loss", "val_loss", "val_mae_by_decile", "history")


def numbers(folder: Path) -> list[object]:
    return [result_in(folder)[name] for name in NUMBERS]


@pytest.mark.slow
def test_equal_digits_cold_warm_damaged_and_without(tmp_path: Path) -> None:
    here = Commands(tmp_path / "here", tmp_path / "data")
    here.cwd.mkdir()
    command = ("strategy=qr", "training.epochs=2", "resume=false")

    def kept() -> set[Path]:
        return set((tmp_path / "data").glob("compiled/*/*.pb"))

    cold = numbers(here.small(*command).folder)
    after_cold = kept()
    assert after_cold
    assert numbers(here.small(*command).folder) == cold
    here.small(*command, "seed=1")
    assert kept() == after_cold  # another seed needs no other program
    for number, path in enumerate(sorted(after_cold)):
        path.write_bytes((b"", path.read_bytes()[: path.stat().st_size // 2], b"damaged" * 100)[number % 3])
    assert numbers(here.small(*command).folder) == cold
    other = here.small(*command, "training.batch_size=64")
    assert kept() > after_cold
    bare = Commands(tmp_path / "bare", tmp_path / "fresh")
    bare.cwd.mkdir()
    assert numbers(bare.small(*command, "training.batch_size=64").folder) == numbers(other.folder)


@pytest.mark.slow
def test_the_users_own_flags_stay(tmp_path: Path) -> None:
    here = Commands(tmp_path / "here", tmp_path / "data")
    here.cwd.mkdir()
    own = tmp_path / "own"
    flags = f"--tf_xla_persistent_cache_directory={own}"
    assert here.small("strategy=full", "training.epochs=1", TF_XLA_FLAGS=flags).code == 0
    assert not list((tmp_path / "data").glob("compiled/*/*.pb"))


def test_the_listing_says_what_a_store_is_for(store: Store) -> None:
    assert set(json.loads((store.folder / "about.json").read_text())) >= {"tensorflow", "keras", "processor"}
    store.remove()
    assert not store.folder.exists()
