import pytest

from pathfuse.endpoints import detect
from pathfuse.endpoints.detect import endpoint_from_dict, endpoint_of
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.errors import InputError


class Stub(Multiclass):
    """A second endpoint with a target column of its own."""

    kind = "stub"

    @classmethod
    def target_columns(cls, header):
        return [name for name in header if name == "stub_target"]


@pytest.fixture
def two_endpoints(monkeypatch):
    monkeypatch.setattr(detect, "ENDPOINTS", {"multiclass": Multiclass, "stub": Stub})


def test_a_label_makes_it_multiclass():
    assert endpoint_of(["sample_id", "split", "label"], "samples.csv") == (Multiclass, ["label"])
    assert endpoint_of(["sample_id", "label"], "samples.csv", "multiclass") == (
        Multiclass,
        ["label"],
    )


def test_no_target_column():
    with pytest.raises(
        InputError, match=r"samples.csv has no target column .*; its columns are sample_id, Label"
    ):
        endpoint_of(["sample_id", "Label"], "samples.csv")


def test_an_unknown_endpoint():
    with pytest.raises(
        InputError, match=r"endpoint 'colour' is unknown; choose one of .*multiclass"
    ):
        endpoint_of(["sample_id", "label"], "samples.csv", "colour")


@pytest.mark.usefixtures("two_endpoints")
def test_the_user_chooses_between_several():
    header = ["sample_id", "label", "stub_target"]
    with pytest.raises(
        InputError, match=r"several endpoints .*'label', 'stub_target'.*--endpoint multiclass.stub"
    ):
        endpoint_of(header, "samples.csv")
    assert endpoint_of(header, "samples.csv", "stub") == (Stub, ["stub_target"])
    assert endpoint_of(header, "samples.csv", "multiclass") == (Multiclass, ["label"])


@pytest.mark.usefixtures("two_endpoints")
def test_the_wanted_endpoint_must_have_its_columns():
    with pytest.raises(InputError, match=r"samples.csv has no target column of endpoint 'stub'"):
        endpoint_of(["sample_id", "label"], "samples.csv", "stub")


def test_from_a_model_file():
    endpoint = Multiclass(("a", "b"))
    assert endpoint_from_dict(endpoint.as_dict()) == endpoint
