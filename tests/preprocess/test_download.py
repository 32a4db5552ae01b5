import hashlib
import io
import re
import resource
import socket
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler

import pytest

from preprocess.download import download_movielens
from prerank.errors import InputError

CONTENT = {"README": b"read me", "users.dat": b"1::F::1::10::48067\n", "movies.dat": b"1::Caf\xe9 (1995)::Drama\n"}
CONTENT["ratings.dat"] = b"1::1::5::978300760\n" * 50_000


def archive(content=CONTENT, folder="ml-1m/", compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, text in content.items():
            file.writestr(folder + name, text)
    return buffer.getvalue()


def md5(data):
    return hashlib.md5(data).hexdigest()


def serve(handler):
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path):
    """Folder that a file server serves, and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    server, address = serve(partial(Files, directory=folder))
    yield folder, address
    server.shutdown()
    server.server_close()


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def refused(home, words, **options):
    """The download fails in one line and leaves nothing."""
    with pytest.raises(InputError, match=words) as failure:
        download_movielens(home / "ml-1m", **options)
    assert "\n" not in str(failure.value)
    assert list(home.iterdir()) == []


def test_the_archive_is_unpacked_once(site, home):
    folder, address = site
    (folder / "ml-1m.zip").write_bytes(archive())
    url = f"{address}/ml-1m.zip"
    target = home / "new" / "data"
    assert download_movielens(target, url=url, md5=md5(archive())) == target
    assert {path.name: path.read_bytes() for path in target.iterdir()} == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["data"]
    (folder / "ml-1m.zip").unlink()
    assert download_movielens(target, url=url) == target


def test_an_empty_folder_is_filled_and_an_archive_without_a_folder_is_accepted(site, home):
    folder, address = site
    data = archive(folder="")
    (folder / "ml-1m.zip").write_bytes(data)
    (home / "data").mkdir()
    download_movielens(home / "data", url=f"{address}/ml-1m.zip", md5=md5(data))
    assert (home / "data" / "ratings.dat").read_bytes() == CONTENT["ratings.dat"]


def test_a_slow_download_shows_its_progress(home, capsys):
    data = archive()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            threading.Event().wait(0.4)
            self.wfile.write(data[len(data) // 2 :])

    server, address = serve(Slow)
    download_movielens(home / "data", url=f"{address}/ml-1m.zip", md5=md5(data))
    server.shutdown()
    assert re.search(r"ml-1m.zip: +\d\d%", capsys.readouterr().err)


def test_files_that_are_there_are_not_fetched_again(home):
    for name in ("users.dat", "movies.dat", "ratings.dat.gz"):
        (home / name).touch()
    assert download_movielens(home, url="http://127.0.0.1:9/never-asked.zip") == home


def test_a_folder_with_something_else_is_left_alone(home):
    (home / "users.dat").write_text("mine")
    with pytest.raises(InputError, match="name a new folder"):
        download_movielens(home, url="http://127.0.0.1:9/never-asked.zip")
    assert (home / "users.dat").read_text() == "mine"


def test_a_wrong_checksum_is_refused(site, home):
    folder, address = site
    (folder / "ml-1m.zip").write_bytes(archive())
    refused(home, "has not the MD5 checksum c4d9.* try again", url=f"{address}/ml-1m.zip")


def test_an_archive_that_lacks_a_file_is_refused(site, home):
    folder, address = site
    data = archive({"users.dat": b""})
    (folder / "ml-1m.zip").write_bytes(data)
    refused(home, "a file is missing", url=f"{address}/ml-1m.zip", md5=md5(data))


def test_what_is_no_archive_is_refused(site, home):
    folder, address = site
    (folder / "ml-1m.zip").write_bytes(b"moved")
    refused(home, "is no zip archive", url=f"{address}/ml-1m.zip", md5=md5(b"moved"))


def test_a_missing_page_is_refused(site, home):
    refused(home, r"HTTP status 404.*by hand", url=f"{site[1]}/ml-1m.zip")


@pytest.mark.parametrize("stated", [True, False])
def test_a_server_that_closes_early_is_refused(home, stated):
    data = archive()

    class Early(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            self.send_response(200)
            if stated:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])

    server, address = serve(Early)
    words = "IncompleteRead.*try again" if stated else "has not the MD5 checksum"
    refused(home, words, url=f"{address}/ml-1m.zip", md5=md5(data))
    server.shutdown()


def test_a_port_without_server_is_refused(home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refused(
            home, "Connection refused.*check the network", url=f"http://127.0.0.1:{free.getsockname()[1]}/ml-1m.zip"
        )


def test_an_address_that_is_none_is_refused(home):
    refused(home, "No scheme supplied", url="ml-1m.zip")


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        download_movielens(tmp_path / "file" / "data")


@contextmanager
def file_size_limit(limit):
    """No file of this process may grow past the limit: stands for a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_disk_that_fills_up_leaves_nothing(site, home, compression):
    """Stored, the download itself is too large; deflated, the unpacked file is."""
    folder, address = site
    data = archive(dict(CONTENT, **{"ratings.dat": bytes(3_000_000)}), compression=compression)
    assert (len(data) > 500_000) == (compression == zipfile.ZIP_STORED)
    (folder / "ml-1m.zip").write_bytes(data)
    with file_size_limit(500_000):
        refused(home, r"cannot be written \(File too large\)", url=f"{address}/ml-1m.zip", md5=md5(data))
