"""A specification for tests of single steps of the preparation."""

from features import FeatureSpec, Field

SHOP = FeatureSpec(
    dataset="shop",
    fields=(
        Field("reader", "user", "sparse", "int64", "reader", 9),
        Field("reader_mean", "user", "dense", "float32"),
        Field("books", "user", "sequence", "int64", "book", 9, max_length=4),
        Field("book", "item", "sparse", "int64", "book", 9),
        Field("book_mean", "item", "dense", "float32"),
    ),
    user_id="reader",
    item_id="book",
    user_static=(),
    item_static=("book",),
    history="books",
    user_mean="reader_mean",
    item_mean="book_mean",
)
