"""Arrays of item states as an index stores them: float32, float16, or int8 with a scale a row."""

from dataclasses import dataclass

import numpy as np

from prerank.layout import StorageType

_LARGEST = 127
_SIGN_EXPONENT_MANTISSA = np.uint32(0x8FFFE000).view(np.int32)  # of a float16 in the places of a float32
_BIASES = np.float32(2.0**112)


@dataclass(frozen=True)
class StoredArray:
    """One array of item states.

    Attributes:
        values: (parts, N, width), of the storage type; integers, and floats of width 1, as they are.
        scales: (parts, N, 1) float32, what int8 values are multiplied by, or None.
    """

    values: np.ndarray
    scales: np.ndarray | None = None

    @classmethod
    def encode(cls, array: np.ndarray, dtype: StorageType) -> "StoredArray":
        """Store (parts, N, width).

        A row of int8 is scaled by its own largest value. One number a row gains nothing from that and stays float32.
        """
        if array.dtype.kind != "f":
            return cls(np.ascontiguousarray(array))
        if dtype == "float32" or array.shape[2] == 1:
            return cls(np.ascontiguousarray(array, np.float32))
        if dtype == "float16":
            limit = np.finfo(np.float16).max
            return cls(np.ascontiguousarray(np.clip(array, -limit, limit), np.float16))
        scales = np.abs(array).max(axis=2, keepdims=True).astype(np.float32) / _LARGEST
        scales[scales == 0] = 1  # a row of zeros
        return cls(np.rint(array / scales).astype(np.int8), scales)

    def read(self, rows: slice | np.ndarray) -> np.ndarray:
        """The rows (parts, n, width), floats as float32; a view where nothing has to be converted or gathered."""
        values = _rows(self.values, rows)
        if self.scales is not None:
            return values * _rows(self.scales, rows)
        return _single(values) if values.dtype == np.float16 else values

    def concatenate(self, other: "StoredArray") -> "StoredArray":
        """The rows of this array and then those of another."""
        values = np.concatenate([self.values, other.values], axis=1)
        if self.scales is None or other.scales is None:
            return StoredArray(values)
        return StoredArray(values, np.concatenate([self.scales, other.scales], axis=1))

    def take(self, order: np.ndarray) -> "StoredArray":
        """Some rows, in that order."""
        return StoredArray(_rows(self.values, order), None if self.scales is None else _rows(self.scales, order))

    @property
    def bytes_per_item(self) -> int:
        """Bytes of one item."""
        arrays = [self.values] if self.scales is None else [self.values, self.scales]
        return sum(array.nbytes for array in arrays) // max(self.values.shape[1], 1)


def _single(halves: np.ndarray) -> np.ndarray:
    """Finite float16 as float32, exactly, some five times as fast as `astype`.

    Both have the sign first, then exponent and mantissa. So exponent and mantissa move to their places in 32 bits, and
    the product makes up for the difference of the exponents' biases, 127 - 15. It is exact for numbers below the
    normal ones too.
    """
    bits = halves.view(np.int16).astype(np.int32)  # the sign fills all bits to the left
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _SIGN_EXPONENT_MANTISSA, out=bits)
    found = bits.view(np.float32)
    found *= _BIASES
    return found


def _rows(array: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    # `take` gathers about four times as fast as an index array does
    return array[:, rows] if isinstance(rows, slice) else np.take(array, rows, axis=1)
