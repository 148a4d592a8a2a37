import pytest

import mosim_gym.files
from mosim_gym.errors import CheckpointError, MosimError
from mosim_gym.files import as_path, write_atomically, write_text_atomically


def test_writes_whole_files_and_replaces_them(tmp_path):
    write_text_atomically(tmp_path / "a.txt", "\u03b8 first\n")
    write_atomically(tmp_path / "a.txt", lambda file: file.write(b"second"))
    assert (tmp_path / "a.txt").read_bytes() == b"second"
    write_text_atomically(tmp_path / "a.txt", "\u03b8\n")
    assert (tmp_path / "a.txt").read_bytes() == "\u03b8\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError, OSError])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, raised):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write(file):
        file.write(b"half")
        raise raised("stopped")

    with pytest.raises(MosimError if raised is OSError else raised, match="stopped"):
        write_atomically(path, write)
    assert path.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_says_in_the_callers_class_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="Cannot write .*choose a folder you may write to"):
        write_text_atomically(tmp_path / "none" / "a.txt", "a", CheckpointError)

    def no_space(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mosim_gym.files.os, "fsync", no_space)
    with pytest.raises(MosimError, match="No space left.*free some space"):
        write_text_atomically(tmp_path / "a.txt", "a")
    assert not list(tmp_path.iterdir())


def test_paths(tmp_path):
    assert as_path(tmp_path, "a file") == as_path(str(tmp_path), "a file") == tmp_path
    for given in (5, None, b"bytes", ["a"]):
        with pytest.raises(CheckpointError, match="expected the path of a file, as a str or a"):
            as_path(given, "a file", CheckpointError)
