"""Amazon's layouts give the same samples, as-of state equals the brute force, and bad files are named."""

import csv
import gzip
import json
import statistics

import pyarrow.parquet as pq
import pytest
from by_hand import ByHand

from preprocess.amazon import Amazon, AmazonOptions, official_name
from preprocess.prepare import prepare
from prerank.errors import InputError

PATHS = [["Electronics"], ["Electronics", "Cables & Co", "It's USB"]]


def user(number):
    return f"A{number:03}"


def item(number):
    return f"B{number:03}"


class Shop:
    """The small data set as reviews: every third product has no price, every fifth no category, the last no line."""

    def __init__(self, small):
        self.ratings = small.ratings
        self.items = sorted({row[1] for row in small.ratings} | {99})

    def products(self):
        for number in self.items[:-2]:
            product = {"asin": item(number), "title": "A 7\" thing, isn't it"}
            if number % 3:
                product["price"] = float(number)
            if number % 5:
                product["categories"] = [*PATHS[:-1], [*PATHS[-1][:-1], f"Kind {number % 4}"]]
            yield product
        yield {"asin": item(99), "categories": [[]]}

    def reviews(self):
        for number, movie, rating, time in self.ratings:
            review = {"reviewerID": user(number), "asin": item(movie), "helpful": [0, 1], "reviewText": 'So "so", \\ é'}
            yield review | {"overall": float(rating), "unixReviewTime": time}

    def write(self, folder, reviews="json", products="json", suffix=""):
        folder.mkdir(parents=True, exist_ok=True)
        spell = {"json": json.dumps, "literal": repr}
        if reviews in spell:
            write(folder / f"reviews_Electronics_5.json{suffix}", map(spell[reviews], self.reviews()))
        elif reviews == "ratings":
            lines = (
                f"{row['reviewerID']},{row['asin']},{row['overall']},{row['unixReviewTime']}" for row in self.reviews()
            )
            write(folder / f"ratings_Electronics.csv{suffix}", lines)
        if products:
            write(folder / f"meta_Electronics.json{suffix}", map(spell[products], self.products()))
        return folder

    def write_joined(self, path, as_paths):
        products = {product["asin"]: product for product in self.products()}
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["asin", "reviewerID", "overall", "title", "categories", "price", "unixReviewTime"])
            for row in self.reviews():
                product = products.get(row["asin"], {})
                paths = product.get("categories", "")
                category = (str(paths) if as_paths else paths[-1][-1]) if paths else ""
                values = [row["asin"], row["reviewerID"], row["overall"], "x, y", category, product.get("price", "")]
                writer.writerow([*values, row["unixReviewTime"]])
        return path


def write(path, lines):
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture(scope="module")
def shop(small):
    return Shop(small)


@pytest.fixture(scope="module")
def official(shop, tmp_path_factory):
    return shop.write(tmp_path_factory.mktemp("amazon"), products="literal")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


def prepared_from(path, out, report=lambda line: None, category="electronics", **options):
    return prepare(Amazon(), AmazonOptions(data_path=path, prepared_dir=out, category=category, **options), report)


def catalogue(prepared):
    return pq.read_table(prepared.catalogue).to_pylist()


def test_labels_fields_and_missing_values(shop, official, out, samples):
    found = prepared_from(official, out)
    rows = samples(found)
    assert rows.keys() == set(range(len(shop.ratings)))
    training = {shop.ratings[row][1] for row, sample in rows.items() if sample["part"] == "train"}
    mean_price = statistics.fmean(number for number in training if number % 3 and number in shop.items[:-2])
    assert found.spec["price"].default == pytest.approx(mean_price)
    for row, sample in rows.items():
        _, movie, rating, time = shop.ratings[row]
        described = movie in shop.items[:-2]
        priced = described and movie % 3
        assert (sample["label"], sample["timestamp"]) == (rating >= 4, time)
        assert sample["price"] == pytest.approx(movie if priced else mean_price)
        assert sample["price_missing"] == (not priced)
        assert sample["categories"] == (f"Kind {movie % 4}" if described and movie % 5 else None)


def test_fields_and_roles(official, out):
    spec = prepared_from(official, out).spec
    names = "reviewer_id user_mean_rating user_hist asin categories price price_missing item_mean_rating"
    assert [field.name for field in spec.fields] == names.split()
    assert spec.user_static == ("reviewer_id", "user_mean_rating", "user_hist")
    assert spec.item_static == ("asin", "categories")
    assert (spec.dataset, spec.category) == ("amazon_electronics", "categories")
    assert spec["user_hist"].vocabulary == spec["asin"].vocabulary


def test_the_catalogue_holds_products_without_a_review_and_without_a_line(shop, official, out):
    items = catalogue(prepared_from(official, out))
    assert [found["asin"] for found in items] == [item(number) for number in shop.items]
    assert items[-1] == {"asin": "B099", "categories": None, "price": None, "price_missing": 1.0} | {
        "item_mean_rating": pytest.approx(prepared_from(official, out).manifest["training_mean_label"])
    }
    assert items[-2]["price"] is None


def test_another_spelling_gives_the_same_samples(shop, official, out, samples, tmp_path):
    other = prepared_from(shop.write(tmp_path, "literal", "json", ".gz"), out)
    assert samples(other) == samples(prepared_from(official, out))
    assert catalogue(other) == catalogue(prepared_from(official, out))


@pytest.fixture(scope="module")
def read(read_raw):
    return lambda path, **options: read_raw(Amazon(), AmazonOptions(data_path=path, **options))


@pytest.mark.parametrize(
    ("reviews", "products", "suffix"),
    [("json", "json", ""), ("literal", "literal", ".gz"), ("ratings", "json", ""), ("ratings", "literal", ".gz")],
)
def test_other_ways_to_write_the_same(shop, official, read, tmp_path, reviews, products, suffix):
    assert read(shop.write(tmp_path, reviews, products, suffix)) == read(official)


@pytest.mark.parametrize("as_paths", [True, False])
def test_joined_csv(shop, official, read, tmp_path, as_paths):
    found, expected = read(shop.write_joined(tmp_path / "joined.csv", as_paths)), read(official)
    reviewed = {row["asin"] for row in expected["rows"]}
    assert found == expected | {"items": [product for product in expected["items"] if product["asin"] in reviewed]}


def test_without_products_category_and_price_are_missing_and_the_run_says_so(shop, out, samples, tmp_path):
    lines = []
    found = prepared_from(shop.write(tmp_path, products=None), out, lines.append)
    assert "no meta_Electronics.json beside reviews_Electronics_5.json: categories and price missing" in "".join(lines)
    rows = samples(found).values()
    assert {(row["categories"], row["price"], row["price_missing"]) for row in rows} == {(None, 0.0, 1.0)}


def test_products_that_lack_some_reviews_products_are_reported(shop, official, out):
    lines = []
    prepared_from(official, out, lines.append)
    lost = sum(row[1] == shop.items[-2] for row in shop.ratings)
    assert f"{lost} of {len(shop.ratings)} reviews are of products that meta_Electronics.json does not hold" in lines


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"protocol": "reference"},
        *(
            pytest.param(options, marks=pytest.mark.slow)
            for options in (
                {"state": "frozen"},
                {"split": "user_time"},
                {"split": "random"},
                {"leak": ("target_mean",)},
                {"leak": ("history",), "split": "user_time"},
                {"protocol": "reference", "leak": ("history", "user_filter")},
            )
        ),
    ],
    ids=lambda options: "-".join(str(value) for value in options.values()),
)
def test_means_and_histories_equal_the_brute_force(shop, official, out, samples, options):
    options = options | {"max_history": 6}
    found = prepared_from(official, out, **options)
    rows = samples(found)
    resolved = AmazonOptions(**options).resolved()
    parts = {row: sample["part"] for row, sample in rows.items()}
    by_hand = ByHand(shop.ratings, parts, resolved, means_before_split=True)
    known = set(found.vocabulary("asin").tolist())
    positives = {row[0] for row in shop.ratings if row[2] > 3}
    kept = [row for row in shop.ratings if row[0] in positives or "user_filter" not in resolved.leaks]
    assert len(by_hand.rows) == len(kept)
    for expected in by_hand.rows:
        sample = rows[expected["row"]]
        assert sample["user_mean_rating"] == pytest.approx(by_hand.mean(expected, "user"), abs=1e-12)
        assert sample["item_mean_rating"] == pytest.approx(by_hand.mean(expected, "item"), abs=1e-12)
        history = [item(number) if item(number) in known else "unseen" for number in by_hand.history(expected)]
        assert sample["user_hist"] == history
    if "target_mean" in resolved.leaks:
        means = {item(row["item"]): by_hand.mean(row, "item") for row in by_hand.rows}
        found_means = {line["asin"]: line["item_mean_rating"] for line in catalogue(found)}
        assert {asin: found_means[asin] for asin in means} == pytest.approx(means)


def test_rows_without_ratings_are_positives_and_need_negatives(shop, out, samples, tmp_path):
    rows = sorted({(row[0], row[1]): row[3] for row in shop.ratings}.items())
    write(tmp_path / "train.csv", ["user_id\titem_id\ttime", *(f"{pair[0]}\t{pair[1]}\t{time}" for pair, time in rows)])
    products = ["item_id\ti_category\tr_complement", *(f"{number}\t{number % 4}\t[1, 2]" for number in shop.items)]
    write(tmp_path / "item_meta.csv", products)
    with pytest.raises(InputError, match=r"train.csv: holds no ratings.*--negatives N"):
        prepared_from(tmp_path, out)
    lines = []
    found = samples(prepared_from(tmp_path, out, lines.append, negatives=2)).values()
    assert "item_meta.csv has no price: price missing for every product" in lines
    assert sum(sample["label"] for sample in found) == len(rows)
    assert len(rows) < sum(not sample["label"] for sample in found) <= 2 * len(rows)
    assert {sample["categories"] for sample in found} == {"0", "1", "2", "3"}


def test_three_columns_without_a_header_hold_no_ratings(shop, read, tmp_path):
    write(tmp_path / "some.tsv", (f"{row[0]}\t{row[1]}\t{row[3]}" for row in shop.ratings))
    with pytest.raises(InputError, match=r"some.tsv: holds no ratings"):
        read(tmp_path / "some.tsv")
    rows = read(tmp_path / "some.tsv", negatives=1)["rows"]
    assert {(row["_row"], row["reviewer_id"], row["asin"], row["_timestamp"], row["_label"]) for row in rows} == {
        (place, str(row[0]), str(row[1]), row[3], 1) for place, row in enumerate(shop.ratings)
    }


def test_the_names_of_the_official_files():
    spelt = [official_name(name) for name in ("books", "cds_and_vinyl", "movies_and_tv", "apps_for_android")]
    assert spelt == ["Books", "CDs_and_Vinyl", "Movies_and_TV", "Apps_for_Android"]
    assert official_name("grocery_and_gourmet_food") == "Grocery_and_Gourmet_Food"


def error_of(path, tmp_path, **options):
    out = tmp_path / "out"
    with pytest.raises(InputError) as caught:
        prepared_from(path, out, **options)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    return str(caught.value)


def edit(path, line, text):
    lines = path.read_bytes().split(b"\n")
    lines[line - 1] = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(b"\n".join(lines))


REVIEW = '{"reviewerID": "A001", "asin": "B001", "overall": 5.0, "unixReviewTime": 1000}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (REVIEW[:-5], "neither JSON"),
        ("", "the line is empty"),
        ("null", "an object with named members expected. Received: None"),
        (REVIEW.replace("asin", "item"), "there is no asin"),
        (REVIEW.replace('"A001"', "null"), "reviewerID is null, and may not be missing"),
        (REVIEW.replace('"A001"', '""'), "reviewerID is empty, and may not be missing"),
        (REVIEW.replace('"A001"', "1.7"), "reviewerID has to be a text. Received: 1.7"),
        (REVIEW.replace("1000", "1000.5"), "unixReviewTime has to be an integer or a timestamp. Received: 1000.5"),
        (REVIEW.replace("1000", "9" * 30), "unixReviewTime has to be a time from 1900 to 2199"),
        (REVIEW.replace("1000", "1400000000000"), "unixReviewTime has to be a time from 1900 to 2199"),
        (REVIEW.replace("5.0", '"five"'), "overall has to be a number. Received: 'five'"),
        (REVIEW.replace("5.0", "NaN"), "overall is nan, and may not be missing"),
        (REVIEW.replace("5.0", "Infinity"), "overall has to be a finite number. Received: inf"),
        (REVIEW.replace("5.0", "5.5"), "overall has to be between 1 and 5. Received: 5.5"),
        (REVIEW.replace("5.0", "0"), "overall has to be between 1 and 5. Received: 0.0"),
        (REVIEW.encode().replace(b"A001", b"A\xff01"), "not utf-8"),
        (REVIEW + REVIEW, "neither JSON"),
    ],
)
def test_a_bad_review_is_named(shop, tmp_path, text, message):
    line = 700
    folder = shop.write(tmp_path / "raw")
    edit(folder / "reviews_Electronics_5.json", line, text)
    error = error_of(folder, tmp_path)
    assert error.startswith(f"{folder / 'reviews_Electronics_5.json'}, line {line}: ")
    assert message in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{'asin': B001}", "no Python literal"),
        ("{'asin': 'B001', 'price': __import__('os').getpid()}", "no Python literal"),
        ("{'asin': 'B001', 'price': '$5'}", "price has to be a number. Received: '$5'"),
        ("{'asin': 'B001', 'price': 1e999}", "price has to be a finite number of 32 bits. Received: inf"),
        ("{'asin': 'B001', 'price': 1e39}", "price has to be a finite number of 32 bits. Received: 1e+39"),
        ("{'asin': 'B001', 'categories': ['A']}", "categories has to be a list of lists of text"),
        ("{'price': 1.0}", "there is no asin"),
        ("['asin']", "an object with named members expected"),
        ("[" * 5000, "no Python literal"),
    ],
)
def test_a_bad_product_is_named(shop, tmp_path, text, message):
    folder = shop.write(tmp_path / "raw", products="literal")
    edit(folder / "meta_Electronics.json", 3, text)
    error = error_of(folder, tmp_path)
    assert error.startswith(f"{folder / 'meta_Electronics.json'}, line 3: ")
    assert message in error


def test_products_of_another_category_are_refused(shop, tmp_path):
    folder = shop.write(tmp_path / "raw")
    known = [product for product in shop.products() if int(product["asin"][1:]) > 20]
    write(folder / "meta_Electronics.json", map(json.dumps, known))
    error = error_of(folder, tmp_path)
    assert "rows (" in error
    assert "that meta_Electronics.json does not hold, at most 20% may" in error


@pytest.mark.parametrize("name", ["reviews_Electronics_5.json.gz", "meta_Electronics.json.gz"])
def test_a_damaged_gz(shop, tmp_path, name):
    folder = shop.write(tmp_path / "raw", suffix=".gz")
    (folder / name).write_bytes((folder / name).read_bytes()[:-20])
    assert error_of(folder, tmp_path).startswith(f"{folder / name}: damaged or truncated gzip file")


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "A001,B001,5.0", "overall has to be a number. Received: 'x'"),
        (4, "A001,B001,5.0", "4 columns expected"),
        (4, "A001,B001,x,1000", "overall has to be a number. Received: 'x'"),
        (4, "A001,B001,0x5,1000", "overall has to be a number. Received: '0x5'"),
        (4, "A001,B001,inf,1000", "overall has to be a number. Received: 'inf'"),
        (4, "A001,B001,1e999,1000", "overall has to be a finite number. Received: '1e999'"),
        (4, "A001,B001,6.0,1000", "overall has to be between 1 and 5. Received: 6.0"),
        (4, ",B001,5.0,1000", "reviewerID is empty"),
        (4, "A001,B001,5.0,1000.0", "unixReviewTime has to be an integer or a timestamp. Received: '1000.0'"),
    ],
)
def test_a_bad_line_of_the_ratings_is_named(shop, tmp_path, line, text, message):
    folder = shop.write(tmp_path / "raw", reviews="ratings", products=None)
    if line == 1:
        line, message = 2, "3 columns expected (reviewerID,asin,unixReviewTime). Received: 4 columns"
        edit(folder / "ratings_Electronics.csv", 1, text.replace("5.0", "1000"))
    else:
        edit(folder / "ratings_Electronics.csv", line, text)
    error = error_of(folder, tmp_path)
    assert error.startswith(f"{folder / 'ratings_Electronics.csv'}, line {line}: ")
    assert message in error


@pytest.mark.parametrize(
    ("old", "new", "times", "message"),
    [
        ("asin", "product", 1, "no column asin in the header"),
        ("[['Electronics']", "[['Electronics', 3]", 1, "has other values on an earlier line (categories)"),
        ("[['Electronics']", "[[Electronics]", -1, "categories has to be text, or a literal list of category paths"),
    ],
)
def test_a_bad_joined_csv(shop, tmp_path, old, new, times, message):
    path = shop.write_joined(tmp_path / "joined.csv", as_paths=True)
    path.write_text(path.read_text().replace(old, new, times))
    error = error_of(path, tmp_path)
    assert error.startswith(f"{path}, line ")
    assert message in error


def test_a_wrong_folder_is_told_what_was_expected(shop, tmp_path):
    folder = shop.write(tmp_path / "raw")
    error = error_of(folder, tmp_path, category="books")
    assert "no reviews of --category books (--download fetches them)" in error
    assert "reviews_Books_5.json, ratings_Books.csv or train.csv" in error
    assert error_of(tmp_path / "nowhere", tmp_path) == f"{tmp_path / 'nowhere'}: no such folder or file"
    write(tmp_path / "two.csv", ["A001,B001"])
    assert "line 1: expected reviewerID,asin,overall,unixReviewTime" in error_of(tmp_path / "two.csv", tmp_path)


@pytest.mark.parametrize(
    ("path", "category", "options", "rows"),
    [
        ("electronics/ratings_Electronics_head.csv.gz", "electronics", {}, 50_698),
        ("electronics/electronics_new_users_2014_reindexed.tsv.gz", "electronics", {"negatives": 1}, 41_357),
        ("grocery", "grocery_and_gourmet_food", {"negatives": 1}, 121_892),
        ("musical-instruments", "musical_instruments", {}, 10_261),
    ],
)
@pytest.mark.slow
def test_real_extracts(real_data, out, path, category, options, rows):
    found = prepared_from(real_data / "amazon" / path, out, category=category, **options)
    parts = found.manifest["parts"].values()
    negatives = sum(part["rows"] - part["positives"] for part in parts)
    assert sum(part["rows"] for part in parts) - (negatives if options else 0) == rows
    assert negatives > 0
