"""The table of dependencies is current, everything in it has a pin, and no user gets a package under
the GPL.
"""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
place = importlib.util.spec_from_file_location(
    "list_dependencies", ROOT / "dev/list_dependencies.py"
)
lists = importlib.util.module_from_spec(place)
place.loader.exec_module(lists)
pytest.importorskip("torch")
"""Where the extras are not installed, little is known of what they bring."""
RUN = "run python dev/list_dependencies.py"


def cells():
    """Package -> version, licence and the lists that it is for, as the page has them."""
    return {name: line.strip("| ").split(" | ")[1:4] for name, line in lists.kept_rows().items()}


def test_the_table_names_every_package_with_its_pin_and_its_licence():
    page = cells()
    for name, package in lists.packages().items():
        assert name in page, f"{name} is not listed: {RUN}"
        version, licence, _ = page[name]
        assert version == lists.pins()[name], f"{name} has another pin: {RUN}"
        if package.licence != lists.UNKNOWN:
            assert licence == package.licence, f"{name} has another licence: {RUN}"


def test_the_table_names_nothing_else():
    """But for what is not installed here, or not on this system."""
    for name in cells():
        assert name in lists.packages() or lists.installed(name) is None, f"{name} is stale: {RUN}"


def test_every_package_of_every_extra_has_a_pin():
    lacking = sorted(set(lists.packages()) - set(lists.pins()))
    assert not lacking, f"constraints.txt has no pin of {', '.join(lacking)}"


def test_pathfuse_says_why_it_asks_for_each():
    asked = {lists.canonicalize_name(one.name) for lines in lists.asked().values() for one in lines}
    assert set(lists.reasons()) == asked


def test_users_get_no_package_under_the_gpl():
    users = lists.for_users()
    found = {name: one for name, one in lists.packages().items() if one.lists & users}
    assert len(found) > 50
    assert not [name for name, one in found.items() if lists.asks_for_gpl(one.licence)]
    kept = {name: row for name, row in cells().items() if set(row[2].split(", ")) & users}
    assert not [name for name, row in kept.items() if lists.asks_for_gpl(row[1])]


@pytest.mark.parametrize(
    ("licence", "asks"),
    [
        ("MIT", False),
        ("LGPL-2.1-only AND MIT", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("MIT AND (BSD-3-Clause OR GPL-2.0-only) AND Zlib", False),
        ("GPL-2.0-only OR MIT", False),
        ("GPLv3", True),
        ("AGPL-3.0-or-later", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("MIT AND GPL-3.0-or-later", True),
        ("MIT AND (GPL-2.0-only OR AGPL-3.0-only)", True),
    ],
)
def test_what_asks_for_the_gpl(licence, asks):
    assert lists.asks_for_gpl(licence) == asks
