"""Files stand in their place whole or not at all, and their names can do no harm."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartsub_tui.data.files import FileExists, NewArchive, NewFile, safe_name, write_file
from smartsub_tui.errors import NotFound, Refused, Unavailable


def left(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_it_stands_there_when_it_is_kept_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = NewFile(tmp_path / "a.csv")
    file.write(b"one,")
    file.write(b"two\n")
    assert "a.csv" not in left(tmp_path)
    file.keep()
    assert (tmp_path / "a.csv").read_bytes() == b"one,two\n"
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o600
    file.drop()
    assert left(tmp_path) == ["a.csv"]


def test_before_it_is_kept_it_can_be_made_ready(tmp_path: Path) -> None:
    file = NewFile(tmp_path / "a.csv")
    file.write(b"one")
    file.ready()
    assert file.unfinished.read_bytes() == b"one"
    file.keep()
    assert left(tmp_path) == ["a.csv"]
    file = NewFile(tmp_path / "b.csv")
    (tmp_path / "b.csv").touch()
    with pytest.raises(FileExists):
        file.ready()
    file.drop()


def test_it_can_have_mode_owner_and_group_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, asked = tmp_path / "other", []
    other.touch()
    other.chmod(0o640)
    monkeypatch.setattr(os, "fchown", lambda _, *ids: asked.append(ids))
    file = NewFile(tmp_path / "a.csv")
    file.resemble(other)
    file.keep()
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o640
    assert asked == [(other.stat().st_uid, -1), (-1, other.stat().st_gid)]


def test_what_was_for_a_group_is_for_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    def of_another(handle: int) -> os.stat_result:
        seen = seen_by(handle)
        return os.stat_result((*seen[:5], seen.st_gid + 1, *seen[6:]))

    seen_by = os.fstat
    other = tmp_path / "other"
    other.touch()
    other.chmod(0o664)
    file = NewFile(tmp_path / "a.csv")
    with monkeypatch.context() as once:
        once.setattr(os, "fchown", fail)
        once.setattr(os, "fstat", of_another)
        file.resemble(other)
    file.keep()
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o604


def test_nothing_is_left_of_what_was_dropped(tmp_path: Path) -> None:
    file = NewFile(tmp_path / "a.csv")
    file.write(b"x" * 100_000)
    file.drop()
    assert left(tmp_path) == []


def test_a_file_that_is_there_is_replaced_only_where_that_was_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(FileExists, match="exists"):
        NewFile(path)
    file = NewFile(path, replace=True)
    file.write(b"new")
    assert path.read_text() == "old"
    file.keep()
    assert path.read_text() == "new"
    assert left(tmp_path) == ["a.csv"]


def test_a_file_that_came_there_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    file = NewFile(path)
    path.write_text("theirs")
    with pytest.raises(FileExists):
        file.keep()
    assert path.read_text() == "theirs"
    assert left(tmp_path) == ["a.csv"]


def test_one_that_comes_at_the_very_last_moment_is_not_replaced_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    file = NewFile(path)
    link = os.link

    def late(source: Path, target: Path) -> None:
        path.write_text("theirs")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(FileExists):
        file.keep()
    assert path.read_text() == "theirs"
    assert left(tmp_path) == ["a.csv"]


def test_a_file_system_without_links_takes_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", without)
    file = NewFile(tmp_path / "a.csv")
    file.write(b"new")
    file.keep()
    assert (tmp_path / "a.csv").read_bytes() == b"new"
    assert left(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_no_file_is_refused_and_a_link_is_not_followed(tmp_path: Path, replace: bool) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = left(tmp_path)
    for name, reason in (("link", "link"), ("dangling", "link"), ("folder", "folder"), ("pipe", "no ordinary file")):
        with pytest.raises(Refused, match=reason) as caught:
            NewFile(tmp_path / name, replace=replace)
        assert caught.value.exit_code == 1
    assert left(tmp_path) == before
    assert (tmp_path / "target").read_text() == "kept"


def test_a_link_that_came_there_meanwhile_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    file = NewFile(tmp_path / "a.csv", replace=True)
    (tmp_path / "a.csv").symlink_to(tmp_path / "target")
    with pytest.raises(Refused, match="link"):
        file.keep()
    assert left(tmp_path) == ["a.csv", "target"]
    assert (tmp_path / "target").read_text() == "kept"


def test_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none" / "a.csv", tmp_path / "file" / "a.csv"):
        with pytest.raises(NotFound, match="no folder"):
            NewFile(path)
    with pytest.raises(Unavailable, match="too long"):
        NewFile(tmp_path / ("x" * 300))
    with pytest.raises(Refused, match="no name of a file"):
        NewFile(tmp_path / "a\0b")
    with pytest.raises(Refused, match="folder"):
        NewFile(Path())
    assert left(tmp_path) == ["file"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    file = NewFile(tmp_path / "a.csv")
    with pytest.raises(Unavailable, match="No space left on device"):
        file.keep()
    assert left(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(Unavailable, match="Permission denied"):
            NewFile(tmp_path / "a.csv")
    finally:
        tmp_path.chmod(0o700)


def test_what_those_who_were_killed_left_a_day_ago_is_swept(tmp_path: Path) -> None:
    then = time.time() - 25 * 60 * 60
    (tmp_path / ".smartsub-new.part").touch()
    old = {".smartsub-old.part", ".smartsub-.part", "smartsub-old.part", ".smartsub-old", "old.part", ".other-old.part"}
    for each in old:
        (tmp_path / each).touch()
        os.utime(tmp_path / each, (then, then))
    (tmp_path / ".smartsub-folder.part").mkdir()
    os.utime(tmp_path / ".smartsub-folder.part", (then, then))
    file = NewFile(tmp_path / "a.csv")
    file.sweep()
    file.keep()
    stays = {"smartsub-old.part", ".smartsub-old", "old.part", ".other-old.part", ".smartsub-folder.part"}
    assert set(left(tmp_path)) == {"a.csv", ".smartsub-new.part", *stays}


# A whole file at once


def test_the_same_content_again_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    write_file(path, b"x")
    before = path.stat()
    write_file(path, b"x")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_other_content_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"mine")
    with pytest.raises(Refused, match="exists: name another file"):
        write_file(path, b"x")
    assert path.read_bytes() == b"mine"
    write_file(path, b"x", replace=True)
    assert path.read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == [path]


# Many files as one


def test_an_archive_stands_there_whole_and_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    files = {"a.pdf": b"%PDF" * 1000, "b.pdf": b"", "c.pdf": b"x"}
    for name in ("one.zip", "two.zip"):
        archive = NewArchive(tmp_path / name)
        for each, content in files.items():
            assert each not in archive
            archive.add(each, content)
            assert each in archive
        assert name not in left(tmp_path)
        archive.keep()
        archive.drop()
    assert left(tmp_path) == ["one.zip", "two.zip"]
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with ZipFile(tmp_path / "one.zip") as read:
        assert read.testzip() is None
        assert {name: read.read(name) for name in read.namelist()} == files
        assert {stat.S_IMODE(each.external_attr >> 16) for each in read.infolist()} == {0o600}


def test_nothing_is_left_of_an_archive_that_was_dropped_or_found_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = NewArchive(tmp_path / "a.zip")
    archive.add("a.pdf", b"x" * 100_000)
    archive.drop()
    assert left(tmp_path) == []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    archive = NewArchive(tmp_path / "a.zip")
    monkeypatch.setattr(ZipFile, "writestr", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        archive.add("a.pdf", b"x")
    monkeypatch.setattr(ZipFile, "_write_end_record", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        archive.keep()
    assert left(tmp_path) == []


# Names


@given(st.text())
def test_a_safe_name_is_one_plain_name_whatever_it_is_made_of(text: str) -> None:
    name = safe_name(text)
    assert name.isascii()
    assert name.isprintable()
    assert Path(name).name == name
    assert name[0] not in ".-"
    assert not set(name) & set(" /\\:*?\"<>|'$`;&")
    assert len(name) <= 100


@given(st.from_regex(r"[A-Z0-9]{1,10}-[0-9]{4}-[0-9]{6,9}", fullmatch=True))
def test_the_number_of_an_invoice_is_a_safe_name_as_it_is(number: str) -> None:
    assert safe_name(number) == number


def test_what_would_be_no_name_gets_one() -> None:
    assert safe_name("../..") == "unnamed"
    assert safe_name("") == "unnamed"
    assert safe_name("../../etc/passwd") == "etc-passwd"
