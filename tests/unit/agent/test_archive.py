"""Of an archive three plain files are taken, and what others have put in our places stays."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from etcd_component.agent import archive, binary, files, software
from etcd_component.agent.options import Options
from etcd_component.agent.output import Refusal

Entry = tuple[tarfile.TarInfo, bytes]
PROGRAMS = ("etcd", "etcdctl", "etcdutl")


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = "") -> Entry:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname, made.mode = kind, len(content), to, 0o4777
    return made, content


def packed(path: Path, *entries: Entry) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for info, content in entries:
            made.addfile(info, io.BytesIO(content))
    return path


def release(folder: str = "etcd-v3.6.16-linux-amd64/") -> list[Entry]:
    return [entry(f"{folder}{name}", name.encode()) for name in PROGRAMS]


def unpacked(tmp_path: Path, *entries: Entry) -> dict[str, bytes]:
    archive.unpack(packed(tmp_path / "archive", *entries), tmp_path / "out")
    found = [path for path in (tmp_path / "out").rglob("*") if not path.is_dir()]
    assert all(path.lstat().st_mode & 0o7777 == 0o755 for path in found)
    return {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in found}


WHOLE = {f"bin/{name}": name.encode() for name in PROGRAMS}


@pytest.mark.parametrize("folder", ["", "./", "etcd-v3.6.16-linux-amd64/", "a/b/"])
def test_the_programs_are_found_wherever_they_are(tmp_path: Path, folder: str) -> None:
    assert unpacked(tmp_path, entry("README.md", b"x"), *release(folder)) == WHOLE


def test_no_link_and_no_path_leads_anywhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    tricks = [
        entry("d/etcd", kind=tarfile.SYMTYPE, to=str(victim)),
        entry("d/etcd", kind=tarfile.LNKTYPE, to=str(victim)),
        entry("bin", kind=tarfile.SYMTYPE, to=str(tmp_path)),
        entry("etcdctl", kind=tarfile.DIRTYPE),
        entry("etcdutl", kind=tarfile.FIFOTYPE),
        entry("../victim", b"changed"),
        entry(str(victim), b"changed"),
    ]
    assert unpacked(tmp_path, *tricks, *release("../../")) == WHOLE
    assert victim.read_text() == "untouched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "out", "victim"]


def test_the_first_of_several_is_taken(tmp_path: Path) -> None:
    assert unpacked(tmp_path, *release(), entry("docs/etcd", b"other")) == WHOLE


@pytest.mark.parametrize("missing", PROGRAMS)
def test_an_archive_without_a_program_is_none(tmp_path: Path, missing: str) -> None:
    entries = [one for one in release("") if one[0].name != missing]
    with pytest.raises(Refusal, match=f"the archive has no `{missing}`; it is not an etcd"):
        unpacked(tmp_path, *entries, entry("etcdctl.md", b""))


@pytest.mark.parametrize("damage", ["cut", "no gzip", "empty", "no tar", "changed"])
def test_a_broken_archive_is_said_so(tmp_path: Path, damage: str) -> None:
    path = packed(tmp_path / "archive", *[entry(name, os.urandom(90000)) for name in PROGRAMS])
    whole = path.read_bytes()
    damaged = {
        "cut": whole[:100000],
        "no gzip": b"<html>not found</html>",
        "empty": b"",
        "no tar": whole[:20] + whole[30:],
        "changed": whole[:1000] + b"x" * 90 + whole[1090:],
    }
    if damage == "changed":
        content = bytearray(gzip.decompress(whole))
        content[140:150] = b"x" * 10
        damaged["changed"] = gzip.compress(bytes(content))
    path.write_bytes(damaged[damage])
    with pytest.raises(Refusal, match="the archive cannot be unpacked; nothing was installed"):
        archive.unpack(path, tmp_path / "out")


def test_a_disk_without_room_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = type("Usage", (), {"free": 3 << 20})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    large = entry("etcd", b"x" * (4 << 20))
    with pytest.raises(Refusal, match=r"etcd needs 4 MiB more .*, and 3 MiB are free there"):
        unpacked(tmp_path, large)


# ---- in its place


def new_release(tmp_path: Path) -> Path:
    for name in PROGRAMS:
        path = tmp_path / "new/bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("new")
    return tmp_path / "new"


def contents(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): path.read_text()
        for path in place.rglob("*")
        if path.is_file()
    }


NEW = {f"bin/{name}": "new" for name in PROGRAMS}


@pytest.mark.parametrize("before", ["nothing", "ours", "half of ours", "a link"])
def test_what_is_ours_is_replaced(tmp_path: Path, before: str) -> None:
    place = tmp_path / "3.6.16"
    if before == "a link":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/theirs").write_text("theirs")
        place.symlink_to("elsewhere")
    elif before != "nothing":
        (place / "bin").mkdir(parents=True)
        for name in PROGRAMS[: 1 if before == "half of ours" else 3]:
            (place / "bin" / name).write_text("old")
    archive.put_in_place(new_release(tmp_path), place)
    assert contents(place) == NEW
    assert not place.is_symlink()
    if before == "a link":
        assert contents(tmp_path / "elsewhere") == {"theirs": "theirs"}


@pytest.mark.parametrize("theirs", ["bin/helper", "README", "lib/etcd"])
def test_what_others_have_put_there_stays_and_is_said(
    tmp_path: Path, theirs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "3.6.16"
    ours = {} if theirs == "README" else {"bin/etcd": "old"}
    for path, text in {**ours, theirs: "theirs"}.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    archive.put_in_place(new_release(tmp_path), place)
    assert contents(place) == {**NEW, theirs: "theirs"}
    assert f"other files in {place} stay as they are: {theirs}" in capsys.readouterr().out


def test_somebody_s_link_to_a_directory_stays(tmp_path: Path) -> None:
    place = tmp_path / "3.6.16"
    place.mkdir()
    (place / "link").symlink_to(tmp_path)
    archive.put_in_place(new_release(tmp_path), place)
    assert (place / "link").is_symlink()
    assert sorted(path.name for path in (place / "bin").iterdir()) == sorted(PROGRAMS)


@pytest.mark.parametrize("what", ["a file", "bin is a file", "bin is a link"])
def test_what_is_no_release_at_all_is_refused(tmp_path: Path, what: str) -> None:
    place = tmp_path / "3.6.16"
    if what == "a file":
        place.write_text("theirs")
    else:
        place.mkdir()
        (tmp_path / "theirs").mkdir()
        if what == "bin is a link":
            (place / "bin").symlink_to("../theirs")
        else:
            (place / "bin").write_text("theirs")
    with pytest.raises(Refusal, match="is not what etcd-node puts there; move it away"):
        archive.put_in_place(new_release(tmp_path), place)


def test_a_version_that_is_linked_has_its_programs_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that goes down just then must find them."""
    monkeypatch.setattr(binary, "VERSIONS", tmp_path)
    monkeypatch.setattr(software, "program_of_machine", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(software, "reported_version", lambda program: "3.6.16")
    binary._adopt("preinstalled", "3.6.16")
    replace = files.replace_link

    def replacing(path: Path, target: str) -> None:
        assert path.is_symlink()
        replace(path, target)

    monkeypatch.setattr(files, "replace_link", replacing)
    binary._adopt("preinstalled", "3.6.16")
    assert str((tmp_path / "3.6.16").readlink()) == "preinstalled"


# ---- uploads


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUDO_UID", str(os.getuid()))
    (tmp_path / "into").mkdir()
    return tmp_path


def test_an_upload_is_copied_with_its_checksum(home: Path) -> None:
    (home / "upload").write_bytes(b"content")
    into = home / "into/archive"
    assert archive._take_upload("upload", into) == hashlib.sha256(b"content").hexdigest()
    assert into.read_bytes() == b"content"


@pytest.mark.parametrize("planted", ["nothing", "empty"])
def test_an_upload_that_is_gone_is_to_be_uploaded_again(home: Path, planted: str) -> None:
    if planted == "empty":
        (home / "upload").touch()
    with pytest.raises(Refusal, match=r"upload is not on this machine any more; .* uploads it"):
        archive._take_upload("upload", home / "into/archive")


@pytest.mark.parametrize("planted", ["link", "dangling", "pipe", "directory", "somebody's"])
def test_what_is_not_the_login_s_own_file_is_not_read(
    home: Path, planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = home / "upload"
    if planted == "link":
        (home / "victim").write_text("secret of root")
        upload.symlink_to(home / "victim")
    elif planted == "dangling":
        upload.symlink_to(home / "victim")
    elif planted == "pipe":
        os.mkfifo(upload)
    elif planted == "directory":
        upload.mkdir()
    else:
        upload.write_text("theirs")
        monkeypatch.setattr(archive, "_owners", lambda: {os.getuid() + 1})
    with pytest.raises(Refusal, match="is no plain file of root or of the login"):
        archive._take_upload("upload", home / "into/archive")
    assert not (home / "into/archive").exists()


@pytest.mark.parametrize(
    ("method", "name", "stays"),
    [("upload", "upload", False), ("upload", "./upload", True), ("archive", "upload", True)],
)
def test_only_what_pulumi_has_uploaded_is_removed(
    home: Path, method: str, name: str, stays: bool
) -> None:
    (home / "upload").touch()
    archive._forget_upload(Options(method=method, archive=name))
    assert (home / "upload").exists() is stays
    archive._forget_upload(Options(method="upload"))


# ---- versions


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def test_what_a_program_says_of_its_version(tmp_path: Path) -> None:
    told = script(tmp_path / "etcd", "echo 'etcd Version: 3.6.16'; echo 'Git SHA: x'")
    assert software.reported_version(told) == "3.6.16"
    assert software.reported_version(script(tmp_path / "other", "echo hello")) == ""
    assert software.reported_version(script(tmp_path / "none", "", 0o644)) == ""
    assert software.reported_version(tmp_path / "missing") == ""
    assert software.reported_version(tmp_path) == ""
    strange = tmp_path / "strange"
    strange.write_bytes(b"\x7fELF of another machine")
    strange.chmod(0o755)
    assert software.reported_version(strange) == ""


def test_our_own_wrapper_is_not_the_machine_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setattr(software, "_PLACES", " ".join(map(str, places)))
    assert software.program_of_machine("etcdctl") == ""
    for place in places:
        place.mkdir()
    script(places[0] / "etcdctl", "# Written by etcd-node: ...")
    (places[0] / "etcd").mkdir()
    assert software.program_of_machine("etcdctl") == ""
    own = script(places[1] / "etcdctl", "")
    assert software.program_of_machine("etcdctl") == str(own)
    assert software.program_of_machine("etcd") == ""
