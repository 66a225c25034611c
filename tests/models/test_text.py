"""The text that ships, and files that are not text."""

import hashlib

import pytest

from photonsim.errors import PhotonsimError
from photonsim.models import read_text, sample_text


def test_the_sample_is_the_address_of_2021_byte_for_byte():
    text = sample_text()
    assert text.startswith("Thank you. (Applause.) Thank you. Thank you. Good to be back.")
    digest = "d14e37b00a653b43edec117252b5534cdb704fa76c44eaa03272f561433d8e39"
    assert hashlib.sha256(text.encode()).hexdigest() == digest


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_is_read_as_utf8_without_its_byte_order_mark(tmp_path, mark):
    path = tmp_path / "text.txt"
    path.write_bytes(mark + "naïve — “light”\r\n".encode())
    assert read_text(path) == "naïve — “light”\r\n"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PhotonsimError, match=r"Cannot read the text .*absent.txt: No such file"):
        read_text(tmp_path / "absent.txt")


def test_a_folder_is_not_a_text(tmp_path):
    with pytest.raises(PhotonsimError, match=r"Cannot read the text .*: Is a directory"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9 au lait", r"is not UTF-8 text \(byte 3 cannot be decoded\)"),
        (b"\x7fELF\0\0", "holds NUL bytes, so it is a binary file"),
    ],
)
def test_a_binary_file_is_refused(tmp_path, content, message):
    path = tmp_path / "binary"
    path.write_bytes(content)
    with pytest.raises(PhotonsimError, match=message):
        read_text(path)
