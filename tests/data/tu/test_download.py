"""Fetching and unpacking: flaky servers, mirrors, checksums, unsafe zip files. Only 127.0.0.1 is contacted."""

import hashlib
import http.server
import io
import re
import stat
import struct
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
import requests
from helpers.paths import ROOT
from helpers.tu_files import FILES, zip_bytes

from graphcl_hard.data.tu import archive as unpack
from graphcl_hard.data.tu import download
from graphcl_hard.data.tu.archive import extract
from graphcl_hard.data.tu.download import NotFetchedError, fetch
from graphcl_hard.exceptions import InputError

CLOSED = "http://127.0.0.1:9"  # the discard port, which nothing serves


class Server:
    """Serve ``replies[path]``, a list of (status, body, declared length or None), and repeat the last of them."""

    def __init__(self):
        self.replies, self.asked, self.delay = {}, [], 0.0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                time.sleep(outer.delay)
                replies = outer.replies.get(self.path, [(404, b"", None)])
                status, body, length = replies.pop(0) if len(replies) > 1 else replies[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exc):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(autouse=True)
def _direct_and_quick(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with Server() as running:
        yield running


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "data" / "TINY" / "raw"


def get(raw, *mirrors, official=None, **options):
    fetch("TINY", raw, mirrors=[str(place) for place in mirrors], official_url=official, **options)


def assert_whole(raw):
    assert {path.name: path.read_text() for path in raw.iterdir()} == FILES
    assert {path.name for path in raw.parent.iterdir()} == {"raw"}


def assert_nothing_left(raw):
    left = list(raw.parent.rglob("*"))
    assert left == []


def test_flaky_server_works_at_the_third_try(server, raw):
    good = zip_bytes()
    server.replies["/TINY.zip"] = [(503, b"", None), (200, good[:50], len(good)), (200, good, None)]
    seen = []
    get(raw, official=server.url, progress=lambda done, total: seen.append((done, total)))
    assert_whole(raw)
    assert len(server.asked) == 3
    assert seen[-1] == (len(good), len(good))


def test_backoff_doubles(server, raw, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    server.replies["/TINY.zip"] = [(500, b"", None)]
    with pytest.raises(NotFetchedError, match="HTTP status 500, 3 attempts"):
        get(raw, official=server.url)
    assert [wait for wait in waits if wait] == [0.01, 0.02]


def test_truncated_body_is_an_error_and_leaves_nothing(server, raw):
    good = zip_bytes()
    server.replies["/TINY.zip"] = [(200, good[:50], len(good))]
    with pytest.raises(NotFetchedError, match="the body broke off after"):
        get(raw, official=server.url)
    assert len(server.asked) == 3
    assert_nothing_left(raw)


def test_short_body_that_the_http_library_lets_through(server, raw, monkeypatch):
    """Emulate urllib3 before 2.0."""
    good = zip_bytes()
    server.replies["/TINY.zip"] = [(200, good, None)]
    monkeypatch.setattr(
        download.requests.Response, "iter_content", lambda _self, _size: iter([good[:50]])
    )
    with pytest.raises(
        NotFetchedError, match=f"the body broke off after 50 of {len(good)} bytes, 3 attempts"
    ):
        get(raw, official=server.url)


def test_404_is_not_tried_again(server, raw):
    with pytest.raises(
        NotFetchedError,
        match=r"tried http://127.0.0.1:\d+ \(HTTP status 404\); set GRAPHCL_HARD_MIRROR",
    ):
        get(raw, official=server.url)
    assert server.asked == ["/TINY.zip"]
    assert_nothing_left(raw)


def test_nothing_reachable_names_every_place_with_its_reason(raw, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFetchedError) as caught:
        get(raw, tmp_path / "none", tmp_path / "empty", official=CLOSED)
    message = str(caught.value)
    assert f"{tmp_path / 'none'} (no such folder)" in message
    assert f"{tmp_path / 'empty'} (no TINY.zip and no TINY/TINY_A.txt in it)" in message
    assert re.search(r"http://127\.0\.0\.1:9 \(.*refused.*, 3 attempts\)", message)
    assert "set GRAPHCL_HARD_MIRROR" in message
    assert "`data_dir`" in message
    assert "\n" not in message
    assert_nothing_left(raw)


def test_passwords_in_addresses_are_not_shown(raw):
    with pytest.raises(NotFetchedError) as caught:
        get(raw, "http://me:secret@127.0.0.1:9/x@y")
    assert "secret" not in str(caught.value)
    assert "http://127.0.0.1:9/x@y" in str(caught.value)
    for place, shown in [
        ("http://me:p@secret@a:80/x", "http://a:80/x"),
        ("http://me:secret/secret@a/x", "http://a/x"),
        ("http://a:80/x@y", "http://a:80/x@y"),
        ("http://a/x@y", "http://a/x@y"),
    ]:
        assert download._printable(place) == shown


def test_an_address_that_is_none(raw):
    with pytest.raises(NotFetchedError, match="could not be fetched"):
        get(raw, official="http://")


def test_a_web_page_in_place_of_the_zip_file(server, raw):
    server.replies["/TINY.zip"] = [(200, b"<html>log in first</html>", None)]
    with pytest.raises(InputError, match=r"not a valid zip file .* fetch it again"):
        get(raw, official=server.url)
    assert_nothing_left(raw)


def test_mirror_folder_with_zip_files_comes_before_the_official_address(raw, tmp_path):
    (tmp_path / "TINY.zip").write_bytes(zip_bytes())
    get(raw, tmp_path, official=CLOSED)
    assert_whole(raw)


@pytest.mark.parametrize("below", ["TINY", "TINY/raw"])
def test_mirror_folder_with_unpacked_sets(raw, tmp_path, below):
    source = tmp_path / "mirror" / below
    source.mkdir(parents=True)
    for name, text in {**FILES, "OTHER_A.txt": "", "notes.doc": ""}.items():
        (source / name).write_text(text)
    get(raw, tmp_path / "mirror")
    assert_whole(raw)


def test_mirror_address_and_the_next_place_after_it(server, raw):
    server.replies["/good/TINY.zip"] = [(200, zip_bytes(), None)]
    get(raw, f"{server.url}/without", f"{server.url}/good/", official=CLOSED)
    assert_whole(raw)
    assert server.asked == ["/without/TINY.zip", "/good/TINY.zip", "/good/SHA256SUMS"]


def test_a_set_that_is_there_is_not_fetched(raw):
    raw.mkdir(parents=True)
    (raw / "TINY_A.txt").write_text("mine")
    get(raw, official=CLOSED)
    assert (raw / "TINY_A.txt").read_text() == "mine"


def test_what_a_killed_process_left_is_replaced(raw, tmp_path):
    (raw.parent / ".partial-x").mkdir(parents=True)
    (raw.parent / ".partial-x" / "download.zip").write_bytes(b"half")
    raw.mkdir()
    (raw / "TINY_graph_labels.txt").write_text("half")
    (tmp_path / "TINY.zip").write_bytes(zip_bytes())
    get(raw, tmp_path)
    assert_whole(raw)


def test_edges_file_is_put_in_place_last(raw, tmp_path, monkeypatch):
    order = []
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda self, target: (order.append(self.name), replace(self, target))[1]
    )
    (tmp_path / "TINY.zip").write_bytes(zip_bytes())
    get(raw, tmp_path)
    assert sorted(order) == sorted(FILES)
    assert order[-1] == "TINY_A.txt"


OTHER = "0" * 64


def test_official_sum(server, raw):
    content = zip_bytes()
    server.replies["/TINY.zip"] = [(200, content, None)]
    right = hashlib.sha256(content).hexdigest()
    with pytest.raises(
        InputError,
        match=f"has the SHA-256 checksum {right}, must have {OTHER}; fetch the file again",
    ):
        get(raw, official=server.url, known_sha256={"TINY": OTHER})
    assert_nothing_left(raw)
    get(raw, official=server.url, known_sha256={"TINY": right})
    assert_whole(raw)


@pytest.mark.parametrize("kind", ["folder", "address"])
@pytest.mark.parametrize(
    ("listed", "known", "good"),
    [
        (None, None, True),
        (None, OTHER, False),
        ("right", OTHER, True),
        (OTHER, None, False),
        ("other set only", None, True),
        ("other set only", OTHER, False),
    ],
)
def test_mirror_sums(server, raw, tmp_path, kind, listed, known, good):
    content = zip_bytes()
    (tmp_path / "TINY.zip").write_bytes(content)
    server.replies["/TINY.zip"] = [(200, content, None)]
    if listed is not None:
        line = {
            "right": f"{hashlib.sha256(content).hexdigest()}  TINY.zip\n",
            OTHER: f"{OTHER} *./TINY.zip\n",
        }
        sums = f"{OTHER}  NOTTINY.zip\n{line.get(listed, '')}"
        (tmp_path / "SHA256SUMS").write_text(sums)
        server.replies["/SHA256SUMS"] = [(200, sums.encode(), None)]
    place = tmp_path if kind == "folder" else server.url
    options = {"known_sha256": {} if known is None else {"TINY": known}}
    if good:
        get(raw, place, **options)
        assert_whole(raw)
    else:
        with pytest.raises(InputError, match=f"must have {OTHER}"):
            get(raw, place, **options)
        assert_nothing_left(raw)


def test_two_processes_at_once_fetch_once(server, raw):
    server.replies["/TINY.zip"] = [(200, zip_bytes(), None)]
    server.delay = 0.3
    code = (
        "import sys; from pathlib import Path; from graphcl_hard.data.tu.download import fetch;"
        "fetch('TINY', Path(sys.argv[1]), mirrors=[], official_url=sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(raw), server.url]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert server.asked == ["/TINY.zip"]
    assert_whole(raw)


def test_a_process_that_never_lets_go_is_reported(raw, monkeypatch):
    lock = raw.parent.parent / ".locks" / f"{raw.parent.name}.lock"
    lock.parent.mkdir(parents=True)
    monkeypatch.setattr(download, "LOCK_SECONDS", 0.05)
    with download.FileLock(lock), pytest.raises(InputError, match="held by another process"):
        get(raw, official=CLOSED)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be read or written"):
        get(tmp_path / "file" / "TINY" / "raw", official=CLOSED)


def link():
    info = zipfile.ZipInfo("TINY/TINY_A.txt")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted():
    """Return a zip file whose members are flagged as encrypted: bit 0 at offset 8 of the central header."""
    content = bytearray(zip_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = content.index(signature) + offset
        content[at : at + 2] = struct.pack("<H", 1)
    return bytes(content)


def broken():
    """Return a zip file whose first member has damaged bytes, but whose directory is valid."""
    content = bytearray(zip_bytes())
    at = content.index(b"TINY//TINY_A.txt") + len(b"TINY//TINY_A.txt")
    content[at] ^= 0xFF
    return bytes(content)


GOOD = [(f"TINY/{name}", text) for name, text in FILES.items()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: zip_bytes([*GOOD, ("../evil.txt", "x")]), "'../evil.txt' is outside its folder"),
        (lambda: zip_bytes([*GOOD, ("TINY/../../TINY_x.txt", "x")]), "is outside its folder"),
        (lambda: zip_bytes([*GOOD, ("..\\TINY_x.txt", "x")]), "is outside its folder"),
        (lambda: zip_bytes([*GOOD, ("/TINY_x.txt", "x")]), "is outside its folder"),
        (lambda: zip_bytes([*GOOD, ("C:TINY_x.txt", "x")]), "is outside its folder"),
        (lambda: zip_bytes([*GOOD[1:], (link(), "/etc/passwd")]), "is a link"),
        (lambda: zip_bytes([*GOOD, ("TINY//TINY_A.txt", "x")]), "occurs twice"),
        (lambda: zip_bytes(GOOD[1:]), "does not contain TINY/TINY_A.txt"),
        (lambda: zip_bytes([("OTHER/TINY_A.txt", "x")]), "does not contain TINY/TINY_A.txt"),
        (lambda: zip_bytes([]), "does not contain TINY/TINY_A.txt"),
        (encrypted, "is encrypted"),
        (broken, "not a valid zip file"),
        (lambda: zip_bytes()[:-30], "not a valid zip file"),
        (lambda: b"", "not a valid zip file"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_unsafe_and_damaged_zip_files(raw, tmp_path, content, message):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "TINY.zip").write_bytes(content())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        get(raw, tmp_path / "m")
    assert "\n" not in str(caught.value)
    assert_nothing_left(raw)
    made = set(tmp_path.rglob("*")) - set(before)
    assert made <= {
        tmp_path / "data",
        *(tmp_path / "data").glob(".locks"),
        *(tmp_path / "data").glob(".locks/*"),
    }


def test_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "RATIO_FREE_BYTES", 10_000)
    archive = tmp_path / "TINY.zip"
    archive.write_bytes(zip_bytes([*GOOD, ("TINY/TINY_node_labels.txt", "0\n" * 500_000)]))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(
        InputError, match=r"unpacks to 1000\d+ bytes, must be at most \d+; do not use this file"
    ):
        extract(archive, "TINY", out)
    assert list(out.iterdir()) == []
    monkeypatch.setattr(
        unpack, "RATIO_FREE_BYTES", 10_000_000
    )  # the same file, small enough to be harmless
    extract(archive, "TINY", out)
    assert (out / "TINY_node_labels.txt").stat().st_size == 1_000_000


def test_only_the_sets_own_files_are_unpacked(tmp_path):
    members = {
        **dict(GOOD),
        "TINY/README.txt": "r",
        "TINY/README.txt~": "",
        "TINY/run.sh": "",
        "__MACOSX/TINY/TINY_A.txt": "",
    }
    archive = tmp_path / "TINY.zip"
    archive.write_bytes(zip_bytes({**members, "TINY/": ""}))
    out = tmp_path / "out"
    out.mkdir()
    extract(archive, "TINY", out)
    assert {path.name for path in out.iterdir()} == {*FILES, "README.txt"}


def test_a_name_that_nothing_has_leaves_no_folder_and_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.0)
    with pytest.raises(NotFetchedError):
        fetch(
            "WRONG",
            tmp_path / "WRONG" / "raw",
            mirrors=[str(tmp_path)],
            official_url="http://127.0.0.1:9",
        )
    assert [path.name for path in tmp_path.iterdir()] == [".locks"]


def test_a_set_that_is_not_whole_is_never_put_in_place(tmp_path):
    mirror, raw = tmp_path / "mirror", tmp_path / "data" / "HALF" / "raw"
    mirror.mkdir()
    with zipfile.ZipFile(mirror / "HALF.zip", "w") as zipped:
        zipped.writestr("HALF/HALF_A.txt", "1, 2\n")
        zipped.writestr("HALF/HALF_graph_labels.txt", "1\n")
    with pytest.raises(InputError, match=r"does not contain HALF/HALF_graph_indicator\.txt"):
        fetch("HALF", raw, mirrors=[str(mirror)], official_url=None)
    assert not raw.exists()
    with zipfile.ZipFile(mirror / "HALF.zip", "a") as zipped:
        zipped.writestr("HALF/HALF_graph_indicator.txt", "1\n1\n")
    fetch("HALF", raw, mirrors=[str(mirror)], official_url=None)
    assert (raw / "HALF_graph_indicator.txt").is_file()


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:9/x?token=1", "HTTP://127.0.0.1:9/x", "//127.0.0.1:9/TINY.zip"]
)
def test_an_address_with_tls_that_leads_to_one_without_is_not_followed(raw, monkeypatch, target):
    asked = []

    def send(_, request, **__):
        asked.append(request.url)
        response = requests.Response()
        response.request, response.url, response.raw = request, request.url, io.BytesIO(zip_bytes())
        response.status_code = 302 if len(asked) == 1 else 200
        response.headers["Location"] = target
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    if target.startswith("//"):  # the way is that of the address
        get(raw, official="https://127.0.0.1:9")
        assert asked == ["https://127.0.0.1:9/TINY.zip"] * 2
        assert_whole(raw)
        return
    with pytest.raises(NotFetchedError, match="it redirects to an address without TLS"):
        get(raw, official="https://127.0.0.1:9")
    assert asked == ["https://127.0.0.1:9/TINY.zip"]
    assert_nothing_left(raw)
    asked.clear()
    get(raw, official="http://127.0.0.1:9")  # as a mirror in one's own network may be
    assert_whole(raw)


@pytest.mark.parametrize(
    ("status", "tried"), [(503, "HTTP status 503, 3 attempts"), (401, "HTTP status 401")]
)
def test_sums_that_a_mirror_does_not_give_are_not_done_without(server, raw, status, tried):
    server.replies["/TINY.zip"] = [(200, zip_bytes(), None)]
    server.replies["/SHA256SUMS"] = [(status, b"", None)] * 3
    with pytest.raises(NotFetchedError, match=rf"\(its SHA256SUMS: {tried}\)"):
        get(raw, server.url)
    assert_nothing_left(raw)


@pytest.mark.parametrize(
    "address", ["http://a..b", f"http://{'a' * 70}.org", "http://[::1", "https://\udc80.org"]
)
def test_an_address_that_no_host_can_have(raw, address):
    with pytest.raises(NotFetchedError, match="TINY could not be fetched: tried "):
        get(raw, address)
    assert_nothing_left(raw)


def test_a_zip_file_that_calls_a_member_by_two_long_names(tmp_path):
    """zipfile quotes both in its messages."""
    content = zip_bytes({f"TINY/{name}": text * 300 for name, text in FILES.items()})
    first = content.index(b"TINY/")
    (tmp_path / "TINY.zip").write_bytes(
        content[: first - 4] + b"\xff\x0f" + content[first - 2 :]
    )  # a length
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"is not a valid zip file .*; fetch it again") as caught:
        extract(tmp_path / "TINY.zip", "TINY", tmp_path / "out")
    assert len(str(caught.value)) < 400


def test_an_encrypted_member_is_refused_before_any_is_unpacked(tmp_path):
    content = bytearray(zip_bytes())
    last = content.rindex(b"PK\x01\x02")
    content[last + 8] |= 1  # the flag in the list of members
    (tmp_path / "TINY.zip").write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"its member .* is encrypted; do not use this file"):
        extract(tmp_path / "TINY.zip", "TINY", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("member", [".", "./", "TINY/.", "TINY//"])
def test_a_member_without_a_name_is_passed_over(tmp_path, member):
    """ "." once raised an IndexError."""
    archive, out = tmp_path / "TINY.zip", tmp_path / "out"
    out.mkdir()
    archive.write_bytes(zip_bytes([*GOOD, (member, "")]))
    extract(archive, "TINY", out)
    assert {path.name for path in out.iterdir()} == set(FILES)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_damage_whatever_a_zip_file_was_packed_by(tmp_path, method):
    """The standard library has its own exception for each; that of LZMA was once a traceback."""
    archive, out = tmp_path / "TINY.zip", tmp_path / "out"
    out.mkdir()
    with zipfile.ZipFile(archive, "w", method) as zipped:
        for name, text in GOOD:
            zipped.writestr(name, text * 99)
    content = bytearray(archive.read_bytes())
    start = content.index(b"TINY/TINY_A.txt") + len(b"TINY/TINY_A.txt")
    content[start : start + 30] = bytes(255 - byte for byte in content[start : start + 30])
    archive.write_bytes(content)
    with pytest.raises(InputError, match="not a valid zip file"):
        extract(archive, "TINY", out)
