"""Requests to a server: answers equal to ``bench.serving`` to the last bit, and wrong requests refused in a line."""

from __future__ import annotations

import contextlib
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from server_started import JSON, OCTETS, Served, ask

from bench.serving import Tables


def floats(values: object) -> np.ndarray:
    return np.array(values, np.float64).astype(np.float32)


def raw(served: Served, text: bytes, *, more: bytes = b"") -> bytes:
    """Sends octets as they are, and gives all that comes back."""
    with socket.create_connection(("127.0.0.1", served.port), 20) as sent:
        sent.sendall(text)
        if more:
            sent.sendall(more)
        found = b""
        while part := sent.recv(65536):
            found += part
        return found


# Answers


def test_lookups_of_both_forms_are_those_of_the_tables(served: Served, tables: Tables):
    ids = ["40", 7, 2**62]
    wanted = tables.lookup("user", ids)
    found = served.ask("POST", "/lookup", {"field": "user", "ids": ids})
    assert found.status == 200 and np.array_equal(floats(found.tree["vectors"]), wanted)
    numbers = np.array([40, 7, 2**62], "<i8").tobytes()
    as_octets = served.ask("POST", "/lookup?field=user", numbers, content_type=OCTETS, accept=OCTETS)
    assert as_octets.headers["x-shape"] == "3,8" and np.array_equal(as_octets.array, wanted)
    mixed = served.ask("POST", "/lookup?field=user", numbers, content_type=OCTETS)
    assert np.array_equal(floats(mixed.tree["vectors"]), wanted)
    text = served.ask("POST", "/lookup", {"field": "item", "ids": ["é", 10**20]}, accept=f"{OCTETS}, */*")
    assert np.array_equal(text.array, tables.lookup("item", ["é", "100000000000000000000"]))
    none = served.ask("POST", "/lookup", {"field": "user", "ids": []}, content_type=f"{JSON}; charset=utf-8")
    assert none.tree == {"vectors": []}


def test_unknown_ids(served: Served, tables: Tables):
    asked = {"field": "user", "ids": [40, 5]}
    found = served.ask("POST", "/lookup", asked)
    assert (found.status, found.error) == (404, "field user: no id '5'")
    oov = served.ask("POST", "/lookup", {**asked, "unknown": "oov"}).tree["vectors"]
    assert np.array_equal(floats(oov)[1], tables.vectors("user", [0])[0])
    nan = served.ask("POST", "/lookup", {**asked, "unknown": "nan"}).tree["vectors"]
    assert nan[1] == [None] * 8 and None not in nan[0]
    octets = served.ask(
        "POST",
        "/lookup?field=user&unknown=nan",
        np.array([5, 40], "<i8").tobytes(),
        content_type=OCTETS,
        accept=OCTETS,
    )
    assert np.isnan(octets.array[0]).all() and not np.isnan(octets.array[1]).any()
    hostile = served.ask("POST", "/lookup", {"field": "item", "ids": ["a\n\ud800b"]})
    assert hostile.status == 404 and "a\\n" in hostile.error


def test_predictions(served: Served, tables: Tables):
    columns = {
        "user": [40, "7", 5],
        "item": ["a", "b", "b"],
        "price": [1.5, "2", None],
        "more": [True, False, 1],
    }
    wanted = tables.predict(columns, "nan")
    found = served.ask("POST", "/predict", {"columns": columns, "unknown": "nan"}).tree["predictions"]
    assert found[2] is None and np.array_equal(floats(found[:2]), wanted[:2])
    octets = served.ask("POST", "/predict", {"columns": columns, "unknown": "nan"}, accept=OCTETS)
    assert octets.array.shape == (3,) and np.array_equal(octets.array, wanted, equal_nan=True)
    assert served.ask("POST", "/predict", {"columns": columns}).status == 404


def test_what_is_served_is_told(served: Served):
    told = served.ask("GET", "/").tree
    assert told == served.ask("GET", "/describe").tree
    assert told["fields"]["user"] == {
        "column": "user", "size": 5, "embedding_dim": 8, "method": "full", "ids": 4, "unknown": ["error", "oov", "nan"],
    }  # fmt: skip
    assert (told["name"], told["fingerprint"], told["model"], told["dense"]) == (
        "shop",
        "f" * 64,
        "neumf",
        ["price"],
    )
    assert (told["max_ids"], told["max_bytes"]) == (100, 20_000)
    assert told["fields"]["item"]["unknown"] == ["error", "nan"]
    assert served.ask("GET", "/health").tree == {"status": "alive"}
    assert served.ask("GET", "/ready").tree == {"status": "ready"}


# Wrong requests

LOOKUP = {"field": "user", "ids": [40]}
WRONG = {
    "no JSON": (b"{", 400, "no valid JSON"),
    "an empty body": (b"", 400, "no valid JSON"),
    "no text": (b"\xff\xfe", 400, "no valid JSON"),
    "NaN": (b'{"field": "user", "ids": [NaN]}', 400, "NaN is no number"),
    "infinity": (b'{"field": "user", "ids": [-Infinity]}', 400, "-Infinity is no number"),
    "too long a number": (b'{"field": "user", "ids": [' + b"9" * 5000 + b"]}", 400, "no valid JSON"),
    "too deep": (b"[" * 19_000, 400, "no valid JSON"),
    "too deep within": (b'{"field": "user", "ids": [' + b"[" * 900 + b"]" * 900 + b"]}", 422, "number 0 is a list"),
    "a key twice": (b'{"field": "user", "field": "item", "ids": []}', 400, "field: given twice"),
    "a list": ([1], 422, "give an object"),
    "a text": ("user", 422, "give an object"),
    "null": (b"null", 422, "give an object"),
    "another key": ({**LOOKUP, "fields": 1}, 422, "fields: no such key; the keys are field, ids, unknown"),
    "a key of two lines": ({**LOOKUP, "a\nb": 1}, 422, r"'a\nb': no such key"),
    "no field": ({"ids": [40]}, 422, "field: give one of user, item"),
    "a field that is no text": ({"field": 3, "ids": [40]}, 422, "field: give one of user, item"),
    "another field": ({"field": "shop", "ids": [40]}, 422, "not in the export; its fields are user, item"),
    "no ids": ({"field": "user"}, 422, "ids: give a list"),
    "ids as a text": ({"field": "user", "ids": "40"}, 422, "ids: give a list"),
    "ids as an object": ({"field": "user", "ids": {"40": 1}}, 422, "ids: give a list"),
    "a list in ids": ({"field": "user", "ids": [40, [7]]}, 422, "ids: number 1 is a list"),
    "an object in ids": ({"field": "user", "ids": [{}]}, 422, "ids: number 0 is an object"),
    "true in ids": ({"field": "user", "ids": [True]}, 422, "ids: number 0 is true"),
    "too many ids": ({"field": "user", "ids": [40] * 101}, 413, "ids: 101 of them; at most 100"),
    "another unknown": ({**LOOKUP, "unknown": "zero"}, 422, "unknown: zero; give error, oov, nan"),
    "unknown as a list": ({**LOOKUP, "unknown": ["nan"]}, 422, "unknown: a list"),
    "no row for unknown ids": ({"field": "item", "ids": ["x"], "unknown": "oov"}, 422, "has no row for unknown ids"),
    "a fraction": ({"field": "user", "ids": [40.5]}, 404, "no id '40.5'"),
    "a number without end": (b'{"field": "user", "ids": [1e999]}', 404, "no id 'inf'"),
    "a number of 70 bits": ({"field": "user", "ids": [2**70]}, 404, f"no id '{2**70}'"),
    "null among ids": ({"field": "user", "ids": [None]}, 404, "no id 'None'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_lookups(served: Served, name: str):
    body, status, said = WRONG[name]
    found = served.ask("POST", "/lookup", body)
    assert found.status == status and said in found.error, found


COLUMNS = {"user": [40], "item": ["a"], "price": [1]}
WRONG_PREDICTIONS = {
    "no columns": ({}, 422, "columns: give an object"),
    "no object": ({"columns": [1]}, 422, "columns: give an object"),
    "an empty object": ({"columns": {}}, 422, "columns: give an object"),
    "a missing column": ({"columns": {"user": [40], "price": [1]}}, 422, "no column 'item'"),
    "unequal lengths": ({"columns": {**COLUMNS, "price": [1, 2]}}, 422, "columns of unequal length"),
    "no number": ({"columns": {**COLUMNS, "price": ["much"]}}, 422, "row 0 is missing or no finite number"),
    "too large a number": (b'{"columns": {"user": [40], "item": ["a"], "price": [1e999]}}', 422, "no finite number"),
    "a whole number too large": ({"columns": {**COLUMNS, "price": [10**400]}}, 422, "no finite number"),
    "a list": ({"columns": {**COLUMNS, "price": [[1]]}}, 422, "columns: price: number 0 is a list"),
    "a value": ({"columns": {**COLUMNS, "price": 1}}, 422, "columns: price: give a list"),
    "too many rows": ({"columns": {**COLUMNS, "price": [1] * 101}}, 413, "at most 100"),
    "another key": ({"columns": COLUMNS, "ids": []}, 422, "ids: no such key"),
    "an unknown id": ({"columns": {**COLUMNS, "item": ["x"]}}, 404, "field item: no id 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PREDICTIONS)
def test_wrong_predictions(served: Served, name: str):
    body, status, said = WRONG_PREDICTIONS[name]
    found = served.ask("POST", "/predict", body)
    assert found.status == status and said in found.error, found


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/lookup?field=user", b"1234567", 400, "7 bytes; ids are little-endian int64"),
        ("/lookup?field=user", bytes(8 * 101), 413, "ids: 101 of them"),
        ("/lookup", bytes(8), 422, "field: give one of user, item"),
        ("/lookup?field=user&ids=4", bytes(8), 422, "ids: no such name"),
        ("/lookup?field=user&field=item", bytes(8), 422, "field: given twice"),
        ("/lookup?field=user&unknown=", bytes(8), 422, "unknown: ; give error, oov, nan"),
        ("/lookup?field=%00%0a", bytes(8), 422, "not in the export"),
        ("/predict", bytes(8), 415, "content-type: application/octet-stream; give application/json"),
    ],
)
def test_wrong_octets(served: Served, path: str, body: bytes, status: int, said: str):
    found = served.ask("POST", path, body, content_type=OCTETS)
    assert found.status == status and said in found.error, found


def test_wrong_types_paths_and_methods(served: Served):
    assert served.ask("POST", "/lookup", b"a=b", content_type="text/plain").status == 415
    query = served.ask("POST", "/lookup?field=user", LOOKUP)
    assert query.status == 422 and query.error == "field: with JSON there is no query; put it into the body"
    elsewhere = served.ask("GET", "/nothing%0ahere")
    assert elsewhere.status == 404 and "the paths are /, /lookup" in elsewhere.error
    got = served.ask("GET", "/lookup")
    assert (got.status, got.headers["allow"], got.error) == (405, "POST", "GET: not allowed here; send POST")
    assert served.ask("POST", "/ready", {}).status == 405
    assert served.ask("HEAD", "/health").status == 200


# Size


def test_a_body_that_is_too_large_is_refused_and_not_held(served: Served):
    for size in (20_001, 1_000_000, 30_000_000):
        found = served.ask("POST", "/lookup", b"x" * size)
        assert (
            found.status == 413
            and found.error == "the body: more than 20,000 bytes (max_bytes= of the server)"
        )


def test_a_large_body_in_chunks_is_refused(served: Served):
    connection = served.connection()
    pieces = (b"x" * 10_000 for _ in range(300))
    connection.request(
        "POST", "/lookup", pieces, {"content-type": JSON, "transfer-encoding": "chunked"}, encode_chunked=True
    )
    answer = connection.getresponse()
    assert answer.status == 413 and "more than 20,000 bytes" in json.loads(answer.read())["error"]
    again = ask(connection, "POST", "/lookup", LOOKUP)  # the connection is still good
    assert again.status == 200
    connection.close()


def test_a_client_that_waits_is_told_before_it_sends(served: Served):
    head = b"POST /lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    found = raw(served, head + b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 413 ") and b"100 Continue" not in found


@pytest.mark.parametrize(
    "text",
    [b"\0\1\2\r\n\r\n", b"GET\r\n\r\n", b"POST /lookup HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000 + b"\r\n\r\n"],
    ids=["no text", "no request", "a length below 0", "long headers"],
)  # fmt: skip
def test_what_is_no_http_ends_the_connection(served: Served, text: bytes):
    with contextlib.suppress(ConnectionResetError):
        assert raw(served, text).startswith(b"HTTP/1.1 4")
    assert served.ask("GET", "/health").status == 200


def test_clients_that_go_leave_no_trace(served: Served):
    for end in (b"", b"{", b'{"field"'):
        with socket.create_connection(("127.0.0.1", served.port)) as sent:
            head = b"POST /lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            sent.sendall(head + b"Content-Length: 50\r\n\r\n" + end)
    assert served.ask("POST", "/lookup", LOOKUP).status == 200


def test_other_names_of_this_machine_are_refused(served: Served):
    assert served.ask("GET", "/", host="localhost:1").status == 200
    for name in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "a:b:c", "[::1"):
        found = served.ask("GET", "/", host=name)
        assert found.status == 403 and "without a token" in found.error
        assert served.ask("POST", "/lookup", LOOKUP, host=name).status == 403


def test_many_clients_at_once(served: Served, tables: Tables):
    def client(number: int) -> int:
        rng = np.random.default_rng(number)
        connection = served.connection()
        right = 0
        for _ in range(20):
            ids = rng.choice([40, -3, 7, 2**62], 50)
            if number % 2:
                sent = ids.astype("<i8").tobytes()
                path = "/lookup?field=user"
                found = ask(connection, "POST", path, sent, content_type=OCTETS, accept=OCTETS).array
            else:
                answer = ask(connection, "POST", "/lookup", {"field": "user", "ids": ids.tolist()})
                found = floats(answer.tree["vectors"])
            right += np.array_equal(found, tables.lookup("user", ids))
        connection.close()
        return right

    with ThreadPoolExecutor(8) as clients:
        assert list(clients.map(client, range(8))) == [20] * 8
