"""Here figures are drawn in earnest; see ``quick_figures`` in the conftest above."""

import pytest
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.layout_engine import ConstrainedLayoutEngine

PRINT_PDF, LAY_OUT = FigureCanvasPdf.print_pdf, ConstrainedLayoutEngine.execute


@pytest.fixture(scope="module", autouse=True)
def real_figures(quick_figures):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasPdf, "print_pdf", PRINT_PDF)
        patch.setattr(ConstrainedLayoutEngine, "execute", LAY_OUT)
        yield


@pytest.fixture(scope="module", autouse=True)
def quick_fits(quick_inner_folds):
    """What a page shows is tested here, not how well the runs fuse."""
