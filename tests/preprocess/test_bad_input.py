"""Each kind of bad raw data gives one clear line with the file and the line, and leaves nothing behind."""

import gzip

import pytest

from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError


def error_of(data_path, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError) as caught:
        prepare(ADAPTER, DataOptions(data_path=data_path, prepared_dir=out), report=lambda line: None)
    message = str(caught.value)
    assert "\n" not in message
    assert not out.exists()
    return message


def edit(path, line, text):
    """Replace a 1-based line of a file; None removes it."""
    lines = path.read_bytes().split(b"\n")
    lines[line - 1 : line] = [] if text is None else [text if isinstance(text, bytes) else text.encode("latin-1")]
    path.write_bytes(b"\n".join(lines))


BAD_LINES = [
    ("ratings.dat", 3, "1::2::5", "4 columns expected (user_id::movie_id::rating::timestamp). Received: 3 columns"),
    ("ratings.dat", 1, "1::2::5", "4 columns expected"),
    ("ratings.dat", 1105, "1::2::5", "4 columns expected"),
    ("ratings.dat", 9, "1::2::5::978300760::x", "Received: 5 columns"),
    ("ratings.dat", 5, "1::2::5::", "timestamp is empty"),
    ("ratings.dat", 5, "1::::5::978300760", "movie_id is empty"),
    ("ratings.dat", 7, "1::2::0::978300760", "a rating is 1, 2, 3, 4 or 5. Received: 0"),
    ("ratings.dat", 7, "1::2::6::978300760", "a rating is 1, 2, 3, 4 or 5. Received: 6"),
    ("ratings.dat", 7, "1::2::4.5::978300760", "rating has to be an integer. Received: '4.5'"),
    ("ratings.dat", 8, "x::2::5::978300760", "user_id has to be an integer. Received: 'x'"),
    ("ratings.dat", 8, "1::2.0::5::978300760", "movie_id has to be an integer. Received: '2.0'"),
    ("ratings.dat", 8, "0x10::2::5::978300760", "user_id has to be an integer. Received: '0x10'"),
    ("ratings.dat", 8, "1_0::2::5::978300760", "user_id has to be an integer. Received: '1_0'"),
    ("ratings.dat", 8, " 1::2::5::978300760", "user_id has to be an integer. Received: ' 1'"),
    ("ratings.dat", 8, "99999999999999999999::2::5::978300760", "user_id has to be an integer"),
    ("ratings.dat", 11, "777::2::5::978300760", "user_id 777 is not in users.dat"),
    ("ratings.dat", 11, "1::999::5::978300760", "movie_id 999 is not in movies.dat"),
    ("ratings.dat", 12, "", "the line is empty"),
    ("ratings.dat", 12, b"1::2::5::\x009", "not plain text: holds the byte 0x00"),
    ("users.dat", 2, "1::F::1::10::48067", "user_id 1 is already on line 1"),
    ("users.dat", 4, "4::M::young::10::48067", "age has to be an integer. Received: 'young'"),
    ("users.dat", 4, "4::M::18::10", "5 columns expected"),
    ("movies.dat", 6, "six::Sabrina (1995)::Comedy", "movie_id has to be an integer. Received: 'six'"),
    ("movies.dat", 6, "6::Sabrina (1995)", "3 columns expected"),
    ("movies.dat", 6, "5::Sabrina (1995)::Comedy", "movie_id 5 is already on line 5"),
    ("movies.dat", 6, b"6::Sabrina\x85 (1995)::Comedy", "not plain text: holds the byte 0x85"),
]


@pytest.mark.parametrize(("file", "line", "text", "message"), BAD_LINES)
def test_a_bad_line_is_named(small, tmp_path, file, line, text, message):
    folder = small.write_ml_1m(tmp_path / "raw")
    edit(folder / file, line, text)
    error = error_of(folder, tmp_path)
    assert error.startswith(f"{folder / file}, line {line}: ")
    assert message in error


@pytest.mark.parametrize("place", [0, 3, 20])
def test_the_first_of_several_bad_lines_is_named_in_gz_too(small, tmp_path, place):
    folder = small.write_ml_1m(tmp_path / "raw", suffix=".gz")
    file = folder / "ratings.dat.gz"
    lines = gzip.decompress(file.read_bytes()).split(b"\n")
    lines[place] = lines[place + 4] = b"1::2::9::978300760"
    file.write_bytes(gzip.compress(b"\n".join(lines)))
    assert error_of(folder, tmp_path).startswith(f"{file}, line {place + 1}: a rating is 1, 2, 3, 4 or 5. Received: 9")


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, -9, -2])
def test_a_truncated_gz(small, tmp_path, cut):
    folder = small.write_ml_1m(tmp_path / "raw", suffix=".gz")
    file = folder / "ratings.dat.gz"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * cut) if cut > 0 else cut])
    assert error_of(folder, tmp_path).startswith(f"{file}: damaged or truncated gzip file")


def test_a_damaged_gz(small, tmp_path):
    folder = small.write_ml_1m(tmp_path / "raw", suffix=".gz")
    file = folder / "users.dat.gz"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    assert error_of(folder, tmp_path).startswith(f"{file}: damaged or truncated gzip file")


def test_a_plain_file_called_gz(small, tmp_path):
    folder = small.write_ml_1m(tmp_path / "raw")
    (folder / "users.dat").rename(folder / "users.dat.gz")
    assert "users.dat.gz: damaged or truncated gzip file" in error_of(folder, tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n"])
@pytest.mark.parametrize("file", ["ratings.dat", "users.dat", "movies.dat"])
def test_an_empty_file(small, tmp_path, file, content):
    folder = small.write_ml_1m(tmp_path / "raw")
    (folder / file).write_bytes(content)
    assert error_of(folder, tmp_path) == f"{folder / file}: is empty"


def test_a_wrong_folder_is_told_what_was_expected(small, tmp_path):
    folder = small.write_ml_1m(tmp_path / "raw")
    (folder / "movies.dat").unlink()
    expected = "expected ratings.dat, users.dat, movies.dat or u.data, u.user, u.item (each may end in .gz)"
    assert expected in error_of(folder, tmp_path)
    assert error_of(tmp_path / "nowhere", tmp_path) == f"{tmp_path / 'nowhere'}: no such folder or file"
    assert "has to be the joined csv" in error_of(folder / "ratings.dat", tmp_path)


def test_no_data_path():
    with pytest.raises(InputError, match="--data_path is needed"):
        prepare(ADAPTER, DataOptions())


def csv_line(small, tmp_path, line, text):
    path = small.write_joined(tmp_path / "joined.csv")
    edit(path, line, text)
    return path, error_of(path, tmp_path)


GOOD = '1,2,5,978300760,F,1,1,01234,"Amélie, ""2""",Drama'


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (
            1,
            "user,movie_id,rating,timestamp,gender,age,occupation,zipcode,title,genres",
            "no column user_id in the header",
        ),
        (1, "user_id,user_id,movie_id,rating,timestamp,gender,age,occupation,zipcode,title,genres", "occurs twice"),
        (4, "1,2,5,978300760,F,1,1,01234,x", "Received: 9 columns"),
        (4, "1,2,5,978300760,F,1,1,01234,a, b,Drama", "Received: 11 columns"),
        (2, "one,2,5,978300760,F,1,1,01234,x,Drama", "user_id has to be an integer"),
        (5, "1,2,7,978300760,M,18,1,01234,x,Drama", "a rating is 1, 2, 3, 4 or 5. Received: 7"),
        (6, b"1,2,5,978300760,F,1,1,01234,Am\xe9lie,Drama", "not utf-8"),
        (7, "1,2,5,978300760,X,18,1,01234,x,Drama", "user_id 1 has other values on an earlier line"),
    ],
)
def test_a_bad_line_of_the_joined_csv_is_named(small, tmp_path, line, text, message):
    if "Received: 7" in message or "earlier line" in message:
        user, movie = next(row[:2] for row in small.ratings)
        gender, age, job = small.users[user]
        gender = "X" if "earlier" in message else gender
        rating = 7 if "Received: 7" in message else 5
        genres = "|".join(small.movies[movie][1])
        text = f"{user},{movie},{rating},978300760,{gender},{age},{job},01234,x,{genres}"
        message = message.replace("user_id 1", f"user_id {user}")
    path, error = csv_line(small, tmp_path, line, text)
    assert error.startswith(f"{path}, line {line}: ")
    assert message in error


def test_an_open_quote_in_the_joined_csv(small, tmp_path):
    path, error = csv_line(small, tmp_path, 5, '1,2,5,978300760,F,1,1,01234,"x,Drama')
    assert error.startswith(f"{path}, line ")


def test_a_header_alone(small, tmp_path):
    path = small.write_joined(tmp_path / "joined.csv")
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
    assert error_of(path, tmp_path) == f"{path}: a header, but no data line"


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        ("u.data", 2, "1 2 5 978300760", "Received: 1 columns"),
        ("u.item", 3, "3|x|01-Jan-1995||http://x|0|1", "Received: 7 columns"),
        ("u.user", 3, "3|old|M|1|01234", "age has to be an integer"),
        ("u.genre", 3, "Adventure|two", "flag has to be an integer"),
    ],
)
def test_a_bad_line_of_ml_100k_is_named(small, tmp_path, file, line, text, message):
    folder = small.write_ml_100k(tmp_path / "raw")
    edit(folder / file, line, text)
    error = error_of(folder, tmp_path)
    assert error.startswith(f"{folder / file}, line {line}: ")
    assert message in error


def test_genres_that_do_not_number_the_flags(small, tmp_path):
    folder = small.write_ml_100k(tmp_path / "raw")
    edit(folder / "u.genre", 19, None)
    assert f"{folder / 'u.genre'}: has to number 19 genres from 0" in error_of(folder, tmp_path)
