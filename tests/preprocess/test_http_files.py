"""Downloads that break off go on where they were, and what is damaged or changed is fetched anew."""

import gzip
import hashlib
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import kills
import numpy as np
import pytest

from preprocess.download import download_amazon
from preprocess.http_files import fetch
from prerank.errors import InputError

PIECE = 1 << 14
CONTENT = gzip.compress(np.random.default_rng(0).bytes(700_000), mtime=0)


class Server:
    """Serves CONTENT under any path; `breaks` are the bytes after which successive answers break off."""

    def __init__(self):
        self.content, self.breaks, self.ranges, self.requests, self.tag = CONTENT, [], True, [], True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):  # noqa: N802
                outer.answer(self)

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        if "missing" in request.path:
            request.send_error(404)
            return
        tag = f'"{hashlib.md5(self.content).hexdigest()}"'
        start = 0
        if asked and self.ranges and request.headers.get("If-Range") == tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if start >= len(self.content):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(self.content) - start))
        if self.tag:
            request.send_header("ETag", tag)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        request.end_headers()
        end = start + self.breaks.pop(0) if self.breaks else len(self.content)
        request.wfile.write(self.content[start:end])


@pytest.fixture
def server():
    running = Server()
    yield running
    running.server.shutdown()
    running.server.server_close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_leaves_nothing_beside_it(server, tmp_path):
    fetch([f"{server.url}/a.gz"], tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.gz"]


def test_a_connection_that_breaks_is_continued(server, tmp_path):
    server.breaks = [18 * PIECE, 18 * PIECE]
    fetch([f"{server.url}/a.gz"], tmp_path / "a.gz", wait=0)
    assert (tmp_path / "a.gz").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, f"bytes={18 * PIECE}-", f"bytes={36 * PIECE}-"]


def broken(server, tmp_path):
    """A part of 18 pieces that an earlier call left."""
    server.breaks = [6 * PIECE] * 3
    with pytest.raises(InputError, match="the same command resumes") as failure:
        fetch([f"{server.url}/a.gz"], tmp_path / "a.gz", wait=0)
    assert "\n" not in str(failure.value)
    assert names(tmp_path) == [".part-a.gz", ".part-a.gz.json"]
    assert (tmp_path / ".part-a.gz").stat().st_size == 18 * PIECE
    server.requests.clear()


def test_a_later_call_goes_on(server, tmp_path):
    broken(server, tmp_path)
    fetch([f"{server.url}/a.gz"], tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT
    assert server.requests == [("/a.gz", f"bytes={18 * PIECE}-")]


@pytest.mark.parametrize("change", ["content", "no ranges", "complete", "another address"])
def test_a_part_that_does_not_fit_is_fetched_anew(server, tmp_path, change):
    broken(server, tmp_path)
    address = f"{server.url}/a.gz"
    if change == "content":
        server.content = gzip.compress(b"other" * 100_000, mtime=0)
    elif change == "no ranges":
        server.ranges = False
    elif change == "complete":
        (tmp_path / ".part-a.gz").write_bytes(CONTENT)
    else:
        address = f"{server.url}/mirror/a.gz"
    fetch([address], tmp_path / "a.gz", wait=0)
    assert (tmp_path / "a.gz").read_bytes() == server.content
    assert names(tmp_path) == ["a.gz"]


@pytest.mark.parametrize("changed", [False, True])
def test_killed_at_any_call_a_download_is_completed(server, tmp_path, changed):
    """One that goes on with a part of an earlier call, of the same file or of another one that lay there before."""
    root = tmp_path / "root"
    action = lambda: fetch([f"{server.url}/a.gz"], root / "a.gz", wait=0)  # noqa: E731

    def prepare():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        server.content = CONTENT
        broken(server, root)
        server.content = gzip.compress(b"other" * 100_000, mtime=0) if changed else CONTENT

    for _ in kills.killed(action, root, prepare):
        kills.done(action, root)
        assert (root / "a.gz").read_bytes() == server.content
        assert names(root) == ["a.gz"]


def test_a_server_without_a_validator_is_asked_for_everything(server, tmp_path):
    server.tag = False
    server.breaks = [100_000, 200_000]
    fetch([f"{server.url}/a.gz"], tmp_path / "a.gz", wait=0)
    assert (tmp_path / "a.gz").read_bytes() == CONTENT
    assert {asked for _, asked in server.requests} == {None}


def test_the_mirror_is_tried(server, tmp_path):
    fetch([f"{server.url}/missing/a.gz", f"{server.url}/a.gz"], tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_every_address_that_failed_is_named(server, tmp_path):
    with pytest.raises(InputError, match=r"missing/a.gz: HTTP status 404; .*: No scheme supplied.*by hand"):
        fetch([f"{server.url}/missing/a.gz", "a.gz"], tmp_path / "a.gz")
    assert names(tmp_path) == []


def test_what_is_no_gzip_file_is_not_kept(server, tmp_path):
    server.content = b"<html>please log in</html>"
    with pytest.raises(InputError, match="is not the file expected .*damaged or truncated gzip file.*try again"):
        fetch([f"{server.url}/a.gz"], tmp_path / "a.gz")
    assert not (tmp_path / "a.gz").exists()
    server.content = CONTENT
    fetch([f"{server.url}/a.gz"], tmp_path / "a.gz")


def test_a_full_disk_is_one_line(server, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="cannot be written .No space left on device."):
        fetch([f"{server.url}/a.gz"], tmp_path / "a.gz")


def test_amazons_files_are_fetched_unless_they_are_there(server, tmp_path):
    folder = tmp_path / "new" / "amazon"
    urls = [f"{server.url}/missing", f"{server.url}/files"]
    assert download_amazon(folder, "Books", urls=urls) == folder
    assert names(folder) == ["meta_Books.json.gz", "reviews_Books_5.json.gz"]
    asked = [path for path, _ in server.requests]
    assert asked[:2] == ["/missing/reviews_Books_5.json.gz", "/files/reviews_Books_5.json.gz"]
    (folder / "meta_Books.json.gz").rename(folder / "meta_Books.json")
    server.requests.clear()
    download_amazon(folder, "Books", urls=urls)
    assert server.requests == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        download_amazon(tmp_path / "file" / "x", "Books", urls=urls)
