"""Each private part of Hydra that is used: a test's name says what broke."""

from __future__ import annotations

from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from hydra.types import RunMode
from omegaconf import OmegaConf

from bench.config import Loader, hydra
from bench.config.composing import CONFIG_NAME


def test_without_begin_times_and_names_cannot_be_read():
    hydra.begin("run")
    cfg = Loader().compose([])
    assert cfg.hydra.job.name == "run"
    assert OmegaConf.create({"when": "${now:%Y}"}).when.isdecimal()


def test_without_putting_aside_a_second_engine_cannot_begin():
    loader = Loader()
    with hydra.put_aside():
        first = hydra.Engine("first", loader, CONFIG_NAME)
        outer = GlobalHydra.instance().hydra
        with hydra.put_aside():
            hydra.Engine("second", loader, CONFIG_NAME)
            assert JobRuntime.instance().get("name") == "second"
        assert first and outer and GlobalHydra.instance().hydra is outer
        assert JobRuntime.instance().get("name") == "first"
    assert not GlobalHydra.instance().is_initialized()


def test_without_the_search_path_a_users_own_folder_is_not_found(tmp_path):
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "mine.yaml").write_text("# @package _global_\ndefaults:\n  - qr\n")
    assert "mine" in Loader([str(tmp_path)]).get_group_options("strategy")


def test_without_the_parser_overrides_have_no_types():
    (one, two) = hydra.parse(["seed=1,2", "a.b=[x,'y z']"])
    assert one.is_sweep_override() and not two.is_sweep_override()
    assert two.key_or_group == "a.b" and two.value() == ["x", "y z"]


def test_without_the_overrides_value_a_password_stays_in_it():
    (override,) = hydra.parse(["tracking.uri='a:secret'"])
    changed = hydra.with_texts(override, lambda text: text.replace("secret", "***"))
    assert changed.value() == "a:***" and "secret" not in changed.input_line


def test_without_the_sweepers_split_jobs_are_not_known_before():
    loader = Loader()
    cfg = loader.compose(["seed=0,1", "strategy=full,qr"], RunMode.MULTIRUN)
    jobs = hydra.jobs_of(cfg, hydra.parse(["seed=0,1", "strategy=full,qr"], loader))
    assert jobs == [
        ["seed=0", "strategy=full"], ["seed=0", "strategy=qr"],
        ["seed=1", "strategy=full"], ["seed=1", "strategy=qr"],
    ]  # fmt: skip


def test_without_applying_overrides_values_cannot_be_set_on_a_copy():
    loader = Loader()
    first, second = loader.compose(["training.epochs=2"]), loader.compose(["training.epochs=5"])
    assert (first.training.epochs, second.training.epochs) == (2, 5)


def test_without_the_files_class_a_file_is_read_for_every_composition(monkeypatch):
    loader = Loader()
    loader.compose([])
    loader.clear()
    monkeypatch.setattr(hydra.ConfigRepository, "load_config", lambda *_: 1 / 0)
    loader.compose([])
