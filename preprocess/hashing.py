"""Pseudo-random numbers from keys, in integer arithmetic that is the same on every engine.

Each 32 bits of a key go through a multiply-xorshift round, and the whole through two more (the scheme of
MurmurHash3's finaliser, with multipliers below 2^31 so that no product reaches 2^63).
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from prerank.hashed_ids import CHARACTERS, COEFFICIENTS, MASK, MULTIPLIERS, SALT, start

RANGE = 1 << 32
"""Hashes lie in 0 .. RANGE - 1."""

_HEX = ibis.literal("0123456789abcdef")


def with_hash(table: ir.Table, name: str, keys: Sequence[str], salt: int) -> ir.Table:
    """A table with one more column, a hash of some of its columns.

    Args:
        table: the table.
        name: name of the new int64 column, values 0 .. 2^32 - 1; begins with an underscore, as all of the preparation.
        keys: names of integer or string columns; no nulls.
        salt: another salt gives an independent hash. 0 <= salt < 2^31.

    Each step is a mutate of its own: Ibis keeps them apart instead of inlining them, which would
    double the expression at each step.
    """
    word, digest = f"_word{name}", f"_digest{name}"
    hashed = table.mutate(**{name: ibis.literal(start(salt), "int64")})
    for key in keys:
        if not hashed[key].type().is_integer():
            hashed = hashed.mutate(**{digest: hashed[key].hexdigest("md5")})
            key = digest
        hashed = hashed.mutate(**{word: _integer(hashed[key])})
        for shift in (0, 32):
            part = (hashed[word] >> shift) & MASK
            hashed = hashed.mutate(**{name: ((hashed[name] ^ part) * MULTIPLIERS[0]) & MASK})
            hashed = hashed.mutate(**{name: hashed[name] ^ (hashed[name] >> 15)})
    for multiplier in MULTIPLIERS:
        hashed = hashed.mutate(**{name: (hashed[name] * multiplier) & MASK})
        hashed = hashed.mutate(**{name: hashed[name] ^ (hashed[name] >> 16)})
    return hashed.select(*table.columns, name)


def _integer(value: ir.Column) -> ir.IntegerColumn:
    """An integer as it is; of an MD5 sum, in hexadecimal digits, the first 60 bits."""
    if value.type().is_integer():
        return value.cast("int64")
    digits = [_HEX.find(value.substr(place, 1)) * 16 ** (14 - place) for place in range(15)]
    return sum(digits[1:], digits[0]).cast("int64")


def with_bucket(table: ir.Table, name: str, column: str, buckets: int) -> ir.Table:
    """A table with one more column, the bucket of each id: :func:`hashed_ids.hashed` modulo `buckets`.

    Args:
        table: the table.
        name: name of the new int64 column, 0 .. buckets - 1, null where the id is.
        column: name of the integer or string column with the ids.
        buckets: how many.
    """
    word = f"_id{name}"
    hashed = with_hash(table.mutate(**{word: _word(table[column])}), name, [word], SALT)
    return hashed.mutate(**{name: hashed[name] % buckets}).drop(word)


def _word(value: ir.Column) -> ir.IntegerColumn:
    if value.type().is_integer():
        return value.cast("int64")
    terms = [value.substr(place, 1).ascii_str().cast("int64") * COEFFICIENTS[place] for place in range(CHARACTERS)]
    return sum(terms[1:], terms[0])
