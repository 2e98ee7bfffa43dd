"""The files in ``conf/dataset``, as Hydra composes them."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.data import read

CONF = Path(__file__).parents[2] / "conf"
CHOICES = sorted(path.stem for path in (CONF / "dataset").glob("*.yaml"))
CLICKS = ("avazu", "criteo", "frappe_x1")  # tests/data/test_click_data.py
CHOICES = [choice for choice in CHOICES if choice not in CLICKS]
FILE = {"table": ("dataset.path=r.csv", "dataset.columns.timestamp=when")}
MD5 = {
    "movielens_100k": "0e33842e24a9c977be4e0107933c0723",
    "movielens_1m": "c4d9eecfca2ab87c1945afe126590906",
    "movielens_10m": "ce571fd55effeba0271552578f2648bd",
    "movielens_20m": "cd245b17a1ae2cc31bb14903e1204af3",
    "movielens_25m": "6b51fb2759a8657d3bfcbfc42b592ada",
    "movielens_32m": "d472be332d4daa821edc399621853b57",
}


@pytest.fixture
def composed(tmp_path):
    """Composes data sets with a method group of its own, so that nothing but their files is tested."""
    (tmp_path / "embedding").mkdir()
    (tmp_path / "embedding" / "any.yaml").write_text("method: any\n")
    (tmp_path / "config.yaml").write_text(
        f"defaults: [dataset: synthetic, _self_]\nhydra: {{searchpath: ['file://{CONF}']}}\n"
    )

    def make(*overrides):
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            return OmegaConf.to_container(compose("config", list(overrides)), resolve=True)

    return make


def test_all_data_sets_are_there():
    assert sorted(["synthetic", "synthetic_ctr", "table", *MD5]) == CHOICES


@pytest.mark.parametrize("choice", CHOICES)
def test_a_data_set_composes_into_settings_that_its_module_takes(composed, choice):
    dataset = composed(f"dataset={choice}", *FILE.get(choice, ()))["dataset"]
    assert dataset["name"] == choice
    settings = read(dataset)
    assert settings.vocabulary == "all"
    assert settings.split.kind == "random"
    assert settings.split.train_fraction == 0.85
    assert settings.split.validation_fraction == 0
    if choice in MD5:
        assert settings.checksum == f"md5:{MD5[choice]}"
        archive = choice.replace("movielens_", "ml-")
        assert settings.url == f"https://files.grouplens.org/datasets/movielens/{archive}.zip"
        assert settings.archive == archive
        assert (settings.wheel is not None) == (choice == "movielens_100k")


def test_the_default_is_of_the_size_of_movielens_1m(composed):
    dataset = composed()["dataset"]
    assert (dataset["num_users"], dataset["num_items"], dataset["num_ratings"]) == (6040, 3706, 1_000_209)


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice != "synthetic_ctr"])
def test_each_field_has_a_slot_for_a_method(composed, choice):
    found = composed(f"dataset={choice}", "embedding@embeddings.item=any")
    assert found["embeddings"] == {"item": {"method": "any"}}


@pytest.mark.parametrize("choice", CHOICES)
def test_splits_and_vocabularies_are_set_alike_everywhere(composed, choice):
    kind = "random" if choice == "synthetic_ctr" else "time"  # which has no timestamps
    split = (f"kind={kind}", "train_fraction=0.7", "last_n=2", "seed=3", "validation_fraction=0.1")
    overrides = [f"dataset.split.{setting}" for setting in split]
    given = ["dataset.vocabulary=train", *overrides, *FILE.get(choice, ())]
    settings = read(composed(f"dataset={choice}", *given)["dataset"])
    assert settings.vocabulary == "train"
    assert list(vars(settings.split).values()) == [kind, 0.7, 2, 3, 0.1]


@pytest.mark.parametrize("path", sorted((CONF / "dataset").rglob("*.yaml")), ids=lambda path: path.name)
def test_every_line_says_what_it_is(path):
    for line in path.read_text().splitlines():
        assert not line.strip() or line == "defaults:" or "# " in line, line
