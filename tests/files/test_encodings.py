import pytest

from pathfuse.errors import InputError
from pathfuse.files.encodings import decode

TEXT = "sample_id,ort\na,Köln\nb,Straße\n"


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_encodings_are_recognised(codec, name):
    assert decode("t.csv", TEXT.encode(codec)) == (TEXT, name)


def test_what_windows_lacks_is_latin_1():
    assert decode("t.csv", b"\xe4\x81") == ("ä\x81", "Latin-1")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("ä,ö".encode()[:-1], "t.csv is cut off inside a letter"),
        (TEXT.encode("utf-16")[:-1], "t.csv is cut off or damaged: it begins as UTF-16 text"),
        (b"id\n" + "ä\n".encode() + b"\xe4\n", "t.csv, line 3: the file mixes UTF-8 with another"),
        (b"id,n\na,\0\0\n", "t.csv is not text: byte 8 is zero"),
        (b"\xff\x01\x02abc", "t.csv is not text"),
    ],
)
def test_what_is_not_text_is_refused(raw, sentence):
    with pytest.raises(InputError) as caught:
        decode("t.csv", raw)
    assert str(caught.value).startswith(sentence)
