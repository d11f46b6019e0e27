"""What the tests of whole studies share."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_fits(quick_inner_folds):
    """What runs write is tested here, not how well they fuse."""
