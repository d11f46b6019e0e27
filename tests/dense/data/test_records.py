"""Records of a data set in memory."""

from pathlib import Path

from pathfuse.dense.data.records import Item, Split


def test_items_are_in_the_order_of_parts():
    a, b, c = (Item(n, Path(n), None, n) for n in "abc")
    assert Split("s", 2, ("x", "y"), test=(a,), train=(b,), val=(c,)).items == (b, c, a)
