"""Here PDF figures are drawn in earnest; see ``quick_pdf`` in the conftest above."""

import pytest
from matplotlib.backends.backend_pdf import FigureCanvasPdf

IN_EARNEST = FigureCanvasPdf.print_pdf


@pytest.fixture(scope="module", autouse=True)
def real_pdf(quick_pdf):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasPdf, "print_pdf", IN_EARNEST)
        yield


@pytest.fixture(scope="module", autouse=True)
def quick_fits(quick_inner_folds):
    """What a page shows is tested here, not how well the runs fuse."""
