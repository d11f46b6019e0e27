"""What the tests of the command line share."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_fits(quick_inner_folds):
    """Commands are tested here, not how well they fuse."""
