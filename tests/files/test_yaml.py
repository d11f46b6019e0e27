"""YAML that users write: what is wrong is said with file, line and key."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import pathfuse
from pathfuse.errors import InputError
from pathfuse.files.yaml import read_yaml, read_yaml_as

ROOT = Path(pathfuse.__file__).parent


class Page(BaseModel):
    title: str
    size: int = 1


@pytest.fixture
def written(tmp_path):
    def write(text):
        file = tmp_path / "a.yaml"
        file.write_text(text)
        return file

    return write


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
"""A few lines that stand for billions of values."""


def test_there_is_no_other_reader():
    users = [p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*.py") if "yaml.load" in p.read_text()
             or "safe_load" in p.read_text()]  # fmt: skip
    assert users == ["files/yaml.py"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml, line 3: the key 'a' stands in line 1 already"),
        (
            "fuse:\n  method: x\n  unit: y\n  method: z\n",
            "a.yaml, line 4: the key 'method' stands in line 2 already",
        ),
        ("- {a: 1}\n- {b: 1, b: 2}\n", "a.yaml, line 2: the key 'b' stands in line 2 already"),
        ("1: a\n0x1: b\n", "a.yaml, line 2: the key '1' stands in line 1 already"),
        ("'a': 1\na: 2\n", "line 2: the key 'a'"),
    ],
)
def test_a_key_that_stands_twice(written, text, sentence):
    with pytest.raises(InputError) as caught:
        read_yaml(written(text))
    assert sentence in str(caught.value)


def test_equal_keys_of_different_mappings_and_merged_ones(written):
    text = "base: &base {a: 1, b: 2}\nown:\n  <<: *base\n  a: 3\nlist: [{a: 1}, {a: 2}]\n"
    assert read_yaml(written(text))["own"] == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    "text", ["a: [", "[a]: 1", "{a: 1}: 2", "\x00", "a: 0x_", "x: !!bool foo", "x: !!int ''"]
)
def test_no_yaml(written, text):
    with pytest.raises(InputError, match="is not YAML"):
        read_yaml(written(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: !!python/object:os.system x", "line 2: the tag .*os.system is no plain data"),
        ("a: !!set {x}", "is no plain data"),
        ("a: &a [*a]", "nested more than 50 deep"),
        ("[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("[" * 100_000, "nested more than 50 deep"),
        (BOMB, "line 6: it stands for more than 100,000 values"),
    ],
)
def test_yaml_that_is_no_plain_data(written, text, said):
    with pytest.raises(InputError, match=said):
        read_yaml(written(text))


def test_a_date_is_text_and_so_are_a_time_and_endless_digits(written):
    assert read_yaml(written("seen: 2020-01-01")) == {"seen": "2020-01-01"}
    assert read_yaml(written("at: 1:30")) == {"at": "1:30"}
    digits = "1" + "0" * 5000
    assert read_yaml(written(f"many: {digits}")) == {"many": digits}
    assert read_yaml(written("long: " + "1" + ":59" * 50_000))["long"].endswith(":59")


def test_a_long_file_is_refused_before_it_is_read(written):
    with pytest.raises(InputError, match="it has 487 kB; at most 256 kB of settings are read"):
        read_yaml(written("x: [" + "1, " * 166_500 + "1]"))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not YAML"):
        read_yaml(tmp_path / "a.yaml")


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="ascii", categories=["L", "N"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcdef", min_size=1), inner),
)


@given(content=PLAIN)
@pytest.mark.slow
def test_what_is_written_is_read(content, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert read_yaml(file) == content


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "a.yaml holds no page"),
        ("size: 1", "a.yaml: 'title' is missing"),
        ("title: x\nsize: big", "a.yaml: 'size': input should be a valid integer"),
    ],
)
def test_content_is_checked(written, text, sentence):
    with pytest.raises(InputError) as caught:
        read_yaml_as(written(text), Page, "holds no page")
    assert sentence in str(caught.value)


def test_content_as_a_model(written):
    assert read_yaml_as(written("title: x"), Page, "holds no page") == Page(title="x")
