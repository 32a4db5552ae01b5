"""Old name of `prerank.items`, for one release."""

from prerank.items import check_ids, columns, read_table

__all__ = ["check_ids", "columns", "read_table"]
