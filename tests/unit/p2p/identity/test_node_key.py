"""Keys of nodes: made once, private, never overwritten."""

import os
import pickle
from pathlib import Path

import pytest

from p2p.identity.node_key import NodeKey, base64_text, bytes_of, decode_key, encode_key, node_key, verify
from ringrift_core.errors import StorageError

PRIVATE = bytes(range(32))


def key_file(folder: Path) -> Path:
    return folder / "identity" / "node.key"


def test_a_key_is_made_once_and_only_its_user_can_read_it(tmp_path: Path):
    first = node_key(tmp_path / "new" / "node")
    path = key_file(tmp_path / "new" / "node")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [it.name for it in path.parent.iterdir()] == ["node.key"]
    assert node_key(tmp_path / "new" / "node").public == first.public
    assert node_key(tmp_path / "other").public != first.public


def test_the_umask_opens_nothing(tmp_path: Path):
    before = os.umask(0)
    try:
        node_key(tmp_path)
    finally:
        os.umask(before)
    assert key_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert key_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_a_signature_is_that_of_its_key_and_content():
    key = NodeKey(PRIVATE)
    signature = key.sign(b"content")
    assert (len(key.public), len(signature)) == (32, 64)
    assert verify(key.public, b"content", signature)
    assert not verify(key.public, b"Content", signature)
    assert not verify(NodeKey(bytes(32)).public, b"content", signature)


@pytest.mark.parametrize(("public", "signature"), [(b"", b""), (bytes(32), bytes(64)), (b"x" * 33, b"x" * 65)])
def test_what_is_no_key_or_no_signature_verifies_nothing(public: bytes, signature: bytes):
    assert not verify(public, b"content", signature)


def test_the_signature_is_that_of_the_standard():
    """RFC 8032, section 7.1, test 2."""
    key = NodeKey(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert key.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex().startswith("92a009a9f0d4cab8720e820b5f642540")


def test_a_key_does_not_show_itself(tmp_path: Path):
    key = NodeKey(PRIVATE)
    assert base64_text(PRIVATE) not in f"{key!r}{key}"
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(key)


def damaged(content: bytes) -> list[bytes]:
    swapped = content.replace(content.split(b"\n")[1], base64_text(bytes(32)).encode())
    return [b"", content[:-2], content[1:], content + b"x", swapped, content.replace(b"1", b"2", 1), b"\xff" * 100]


def test_a_damaged_key_is_said_and_kept(tmp_path: Path):
    for content in damaged(encode_key(PRIVATE)):
        with pytest.raises(ValueError, match=r"."):
            decode_key(content)
    node_key(tmp_path)
    path = key_file(tmp_path)
    path.write_bytes(b"nonsense")
    with pytest.raises(StorageError, match="damaged; bring it back from a copy, or move it away"):
        node_key(tmp_path)
    assert path.read_bytes() == b"nonsense"
    path.write_bytes(b"x" * 2000)
    with pytest.raises(StorageError, match="larger than"):
        node_key(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int):
    node_key(tmp_path)
    key_file(tmp_path).chmod(mode)
    with pytest.raises(StorageError, match="others can read it: make a new one, or chmod 600"):
        node_key(tmp_path)


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path):
    node_key(tmp_path)
    (tmp_path / "identity").chmod(0o755)
    with pytest.raises(StorageError, match="chmod 700"):
        node_key(tmp_path)


def test_what_stands_where_the_folder_or_the_key_should_be_is_said(tmp_path: Path):
    (tmp_path / "identity").write_text("a file")
    with pytest.raises(StorageError, match="a file stands where the folder should be"):
        node_key(tmp_path)
    with pytest.raises(StorageError, match="a file stands where the folder should be"):
        node_key(tmp_path / "identity")
    (tmp_path / "identity").unlink()
    (tmp_path / "identity").mkdir(mode=0o700)
    key_file(tmp_path).mkdir()
    with pytest.raises(StorageError, match="is no file"):
        node_key(tmp_path)
    key_file(tmp_path).rmdir()
    os.mkfifo(key_file(tmp_path), 0o600)
    with pytest.raises(StorageError, match="is no file"):
        node_key(tmp_path)


def test_a_key_that_another_process_has_made_meanwhile_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    node_key(tmp_path)
    made = key_file(tmp_path).read_bytes()
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    assert node_key(tmp_path).public == decode_key(made).public
    assert key_file(tmp_path).read_bytes() == made
    assert [it.name for it in key_file(tmp_path).parent.iterdir()] == ["node.key"]


def test_a_full_disk_leaves_no_key_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "identity").mkdir(mode=0o700)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="the disk is full: free some space"):
        node_key(tmp_path)
    monkeypatch.undo()
    assert list((tmp_path / "identity").iterdir()) == []
    node_key(tmp_path)


@pytest.mark.parametrize("text", ["A", "AB==", "AA=", "A+", "A/", "AB", " ", "é", "AA\n"])
def test_bytes_have_one_text_only(text: str):
    with pytest.raises(ValueError, match="base64url"):
        bytes_of(text)
