"""Intake: what students hand in becomes files in memory, or one sentence on why not; nothing outside is ever read."""

from __future__ import annotations

import io
import os
import stat
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jailpy.errors import UsageError
from jailpy.services.grading import intake, names
from jailpy.services.grading.intake import MOST_BYTES, Bounds, RefusedError, Source, UnreadableError

BOUNDS = Bounds()


def taken(path, bounds=BOUNDS):
    (source,) = intake.sources([os.fspath(path)])
    return intake.load(source, bounds)


def refused(path, bounds=BOUNDS):
    with pytest.raises(RefusedError) as error:
        taken(path, bounds)
    assert "\n" not in error.value.message
    return error.value.message


def contents(submission):
    return {file.path: file.content for file in submission.files}


def packed(folder, *entries, name="s.zip", method=zipfile.ZIP_DEFLATED):
    """Write a zip file of (name or ZipInfo, content) pairs."""
    path = folder / name
    with zipfile.ZipFile(path, "w", method) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return path


def info(name, mode):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


class TestFiles:
    def test_a_source_file(self, tmp_path):
        (tmp_path / "a.py").write_bytes(b"print(1)\n")
        submission = taken(tmp_path / "a.py")
        assert (submission.name, contents(submission), submission.notes) == ("a.py", {"a.py": b"print(1)\n"}, ())

    @pytest.mark.parametrize("content", [b"", b" \n\t\n"])
    def test_an_empty_file(self, tmp_path, content):
        (tmp_path / "a.py").write_bytes(content)
        assert refused(tmp_path / "a.py") == "it is empty"

    def test_a_binary_file(self, tmp_path):
        (tmp_path / "a.py").write_bytes(b"\x7fELF\0\0")
        assert refused(tmp_path / "a.py") == "it is a binary file, not source code"

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
    def test_utf_16(self, tmp_path, encoding):
        mark = b"\xfe\xff" if encoding.endswith("be") else b""
        (tmp_path / "a.py").write_bytes(mark + "print(1)".encode(encoding))
        assert refused(tmp_path / "a.py") == "it is a text in UTF-16: save it as UTF-8"

    def test_latin_1_is_judged_and_noted(self, tmp_path):
        (tmp_path / "a.py").write_bytes(b"print(1)\n# caf\xe9\n")
        assert taken(tmp_path / "a.py").notes == ("a.py is not in UTF-8: byte 0xe9 in line 2",)

    def test_100_mb_are_refused_unread(self, tmp_path):
        with open(tmp_path / "a.py", "wb") as file:
            file.truncate(100 << 20)
        started = time.monotonic()
        assert refused(tmp_path / "a.py") == "it is too large: 100 MB, at most 16 MB are taken"
        assert time.monotonic() - started < 0.5

    def test_the_bound_itself_is_taken(self, tmp_path):
        (tmp_path / "a.py").write_bytes(b"#" * 1000)
        assert taken(tmp_path / "a.py", Bounds(bytes=1000)).size == 1000
        assert "too large" in refused(tmp_path / "a.py", Bounds(bytes=999))

    def test_a_file_without_end(self):
        """/proc says size 0 for a file that has content: what counts is what is read."""
        assert "too large" in refused("/proc/self/maps", Bounds(bytes=10))

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(UnreadableError, match=r"^it cannot be read: No such file or directory$"):
            taken(tmp_path / "none.py")

    def test_what_the_host_cannot_read_is_no_fault_of_the_authors(self, tmp_path, monkeypatch):
        (tmp_path / "a.py").write_text("print(1)")
        with monkeypatch.context() as changed:
            changed.setattr(os, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
            with pytest.raises(UnreadableError, match=r"^it cannot be read: Permission denied$"):
                taken(tmp_path / "a.py")
        assert taken(tmp_path / "a.py").size == 8, "control"

    def test_a_link_is_not_followed(self, tmp_path):
        (tmp_path / "secret").write_text("answer")
        (tmp_path / "a.py").symlink_to(tmp_path / "secret")
        assert refused(tmp_path / "a.py") == "it is a symbolic link: hand in the file itself"
        assert contents(taken(tmp_path / "secret")) == {"secret": b"answer"}

    def test_a_named_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "a.py")
        assert refused(tmp_path / "a.py") == "it is a named pipe: hand in a file, a folder or a zip file"

    def test_a_device(self):
        assert "it is a device" in refused("/dev/zero")

    def test_a_name_with_control_characters(self, tmp_path):
        (tmp_path / "a\n\x1b[31m.py").write_text("x")
        message = refused(tmp_path / "a\n\x1b[31m.py")
        assert message == "the file name a\\n\\x1b[31m.py cannot be used: it has control characters"

    def test_a_name_that_is_no_utf_8(self, tmp_path):
        path = os.fsencode(tmp_path) + b"/\xff.py"
        with open(path, "w") as file:
            file.write("x")
        (source,) = intake.sources([os.fsdecode(path)])
        assert source.name == "\\xff.py"
        with pytest.raises(RefusedError, match="not in UTF-8"):
            intake.load(source)


class TestFolders:
    def test_files_of_a_folder(self, tmp_path):
        (tmp_path / "s" / "deep").mkdir(parents=True)
        (tmp_path / "s" / "main.c").write_text("int main;")
        (tmp_path / "s" / "deep" / "a.h").write_text("")
        assert contents(taken(tmp_path / "s")) == {"main.c": b"int main;", "deep/a.h": b""}

    def test_an_empty_folder(self, tmp_path):
        (tmp_path / "s" / "deep").mkdir(parents=True)
        assert refused(tmp_path / "s") == "it holds no file"

    def test_empty_files_only(self, tmp_path):
        (tmp_path / "s").mkdir()
        (tmp_path / "s" / "a.c").touch()
        assert refused(tmp_path / "s") == "its files are empty"

    @pytest.mark.parametrize("target", ["/etc/passwd", "..", "main.c"])
    def test_a_link_in_it(self, tmp_path, target):
        (tmp_path / "s" / "deep").mkdir(parents=True)
        (tmp_path / "s" / "main.c").write_text("x")
        (tmp_path / "s" / "deep" / "link").symlink_to(target)
        assert refused(tmp_path / "s") == "deep/link: it is a symbolic link: hand in the file itself"

    def test_a_named_pipe_in_it(self, tmp_path):
        (tmp_path / "s").mkdir()
        os.mkfifo(tmp_path / "s" / "p")
        assert refused(tmp_path / "s").startswith("p: it is a named pipe")

    def test_too_many_files(self, tmp_path):
        (tmp_path / "s").mkdir()
        for number in range(4):
            (tmp_path / "s" / f"{number}.c").write_text("x")
        assert len(taken(tmp_path / "s", Bounds(files=4)).files) == 4
        assert refused(tmp_path / "s", Bounds(files=3)) == "it has more than 3 files"

    def test_too_many_files_in_several_folders(self, tmp_path):
        for number in range(4):
            (tmp_path / "s" / str(number)).mkdir(parents=True)
            (tmp_path / "s" / str(number) / "a.c").write_text("x")
        assert refused(tmp_path / "s", Bounds(files=4 - 1)).startswith("it has more than 3 files")

    def test_too_large_together(self, tmp_path):
        (tmp_path / "s").mkdir()
        for number in range(3):
            (tmp_path / "s" / f"{number}.c").write_text("x" * 40)
        assert refused(tmp_path / "s", Bounds(bytes=100)) == "its files are too large: at most 100 bytes together are taken"

    def test_too_deep(self, tmp_path):
        (tmp_path.joinpath("s", *["d"] * 20)).mkdir(parents=True)
        assert refused(tmp_path / "s") == "its folders are nested more than 16 deep"


class TestZipFiles:
    def test_files_of_a_zip_file(self, tmp_path):
        path = packed(tmp_path, ("a.py", "x"), ("lib/b.py", "y"), ("lib/", ""))
        assert contents(taken(path)) == {"a.py": b"x", "lib/b.py": b"y"}
        assert taken(path).name == "s.zip"

    def test_the_one_folder_around_all_is_taken_away(self, tmp_path):
        path = packed(tmp_path, ("s/a.py", "x"), ("s/lib/b.py", "y"), ("__MACOSX/s/._a.py", "z"), ("s/.DS_Store", "\0"))
        assert contents(taken(path)) == {"a.py": b"x", "lib/b.py": b"y"}

    def test_too_deep(self, tmp_path):
        """A compiler's jail does not take them: it ended as IE."""
        assert len(taken(packed(tmp_path, ("a.py", "x"), ("d/" * 16 + "b.py", "y"))).files) == 2
        path = packed(tmp_path, ("a.py", "x"), ("d/" * 17 + "b.py", "y"))
        assert refused(path) == "its folders are nested more than 16 deep"

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("../evil.py", "it leads out of its folder"),
            ("a/../../evil.py", "it leads out of its folder"),
            ("..\\evil.py", "it leads out of its folder"),
            ("/etc/cron.d/evil", "it is absolute"),
            ("C:\\evil.py", "it is absolute"),
            ("\\evil.py", "it is absolute"),
            ("a//b", "it has an empty part"),
            ("./a", "it has an empty part"),
            ("a\nb", "it has control characters"),
            ("a" * 300, "it is too long"),
        ],
    )
    def test_names_that_lead_elsewhere(self, tmp_path, name, why):
        path = packed(tmp_path, ("a.py", "x"), (name, "y"))
        assert refused(path).endswith(f"cannot be used: {why}")

    def test_a_name_with_a_nul_is_not_cut(self, tmp_path):
        path = packed(tmp_path, ("aXb.py", "x"))
        path.write_bytes(path.read_bytes().replace(b"aXb.py", b"a\0b.py"))
        assert refused(path).endswith("cannot be used: it has control characters")

    def test_links_in_it(self, tmp_path):
        path = packed(tmp_path, (info("l", stat.S_IFLNK | 0o777), "/etc/passwd"))
        assert refused(path) == "l in it is a symbolic link"

    def test_devices_in_it(self, tmp_path):
        assert refused(packed(tmp_path, (info("d", stat.S_IFCHR | 0o666), ""))) == "d in it is no regular file"

    def test_a_bomb(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.py", "w") as out:
            for _ in range(200):
                out.write(bytes(1 << 20))
        assert (tmp_path / "s.zip").stat().st_size < 1 << 20
        assert refused(tmp_path / "s.zip") == "unpacked it is too large: at most 16 MB together are taken"

    def test_a_bomb_that_lies_about_its_size(self, tmp_path):
        """What is read counts, not what the header says."""
        whole = 1 << 20
        path = packed(tmp_path, ("a.py", bytes(whole)))
        lie = path.read_bytes().replace(whole.to_bytes(4, "little"), (10).to_bytes(4, "little"))
        path.write_bytes(lie)
        assert "it is not a zip file that can be unpacked" in refused(path, Bounds(bytes=1500))

    def test_too_many_files(self, tmp_path):
        path = packed(tmp_path, *((f"{number}.py", "x") for number in range(1001)))
        assert refused(path) == "it has more than 1000 files"

    def test_a_list_of_300000_files_is_not_even_read(self, tmp_path):
        entry = b"PK\1\2" + bytes(24) + (3).to_bytes(2, "little") + bytes(16) + b"abc"
        listed = entry * (MOST_BYTES // len(entry) - 1)
        end = b"PK\5\6" + bytes(4) + b"\xff\xff" * 2 + len(listed).to_bytes(4, "little") + bytes(6)
        (tmp_path / "s.zip").write_bytes(listed + end)
        assert len(listed) // len(entry) > 300_000
        started = time.monotonic()
        assert refused(tmp_path / "s.zip") == "it has more than 1000 files"
        assert time.monotonic() - started < 1

    def test_a_name_twice(self, tmp_path):
        with pytest.warns(UserWarning, match="Duplicate"):
            path = packed(tmp_path, ("a.py", "x"), ("a.py", "y"))
        assert refused(path) == "the name a.py is in it twice"

    def test_a_file_that_is_a_folder_too(self, tmp_path):
        assert refused(packed(tmp_path, ("a", "x"), ("a/b", "y"))) == "the name a is in it as a file and as a folder"

    def test_encrypted(self, tmp_path):
        path = packed(tmp_path, ("a.py", "x"))
        data = bytearray(path.read_bytes())
        data[data.index(b"PK\1\2") + 8] |= 1
        path.write_bytes(data)
        assert refused(path) == "a.py in it is encrypted"

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_methods_that_may_take_much_memory(self, tmp_path, method):
        assert "other than deflate" in refused(packed(tmp_path, ("a.py", "x"), method=method))

    @pytest.mark.parametrize("content", [b"PK\3\4 but no more", b"hello", b"PK\5\6" + bytes(10)])
    def test_no_zip_file(self, tmp_path, content):
        (tmp_path / "s.zip").write_bytes(content)
        assert refused(tmp_path / "s.zip").startswith("it is not a zip file that can be unpacked")

    def test_an_empty_one(self, tmp_path):
        assert refused(packed(tmp_path)) == "it holds no file"

    @given(st.binary(max_size=600), st.integers(0, 400), st.integers(0, 400))
    def test_damage_never_raises_anything_else(self, noise, start, end):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.py", "x" * 100)
            archive.writestr("b/c.py", os.urandom(50))
        data = buffer.getvalue()
        from jailpy.services.grading.archive import unpack

        try:
            files = list(unpack(data[:start] + noise + data[end:], Bounds()))
        except RefusedError:
            return
        assert all(names.file_path(file.path) == file.path for file in files)


@given(st.text(max_size=40))
def test_a_path_that_is_taken_stays_in_its_folder(name):
    try:
        path = names.file_path(name)
    except ValueError:
        return
    whole = os.path.join("/folder", path)
    assert os.path.normpath(whole) == whole
    assert whole.startswith("/folder/")
    assert path.isprintable() or not any(ord(character) < 0x20 for character in path)


class TestNames:
    def test_the_last_part_where_it_is_enough(self):
        assert [source.name for source in intake.sources(["/x/a.py", "/y/b.py"])] == ["a.py", "b.py"]

    def test_folders_tell_the_same_names_apart(self):
        found = intake.sources(["/x/ann/main.py", "/x/bob/main.py", "/x/other.py", "/y/ann/main.py"])
        assert [source.name for source in found] == ["x/ann/main.py", "bob/main.py", "other.py", "y/ann/main.py"]

    def test_a_path_given_twice_is_one(self):
        assert len(intake.sources(["/x/a.py", "/x/../x/a.py"])) == 1

    def test_ten_thousand(self):
        started = time.monotonic()
        found = intake.sources([f"/class/{number}/main.py" for number in range(10_000)])
        assert len({source.name for source in found}) == 10_000
        assert time.monotonic() - started < 2

    @given(st.lists(st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name), max_size=12))
    def test_names_are_unique_text(self, given_names):
        found = intake.sources([os.fsdecode(name) for name in given_names])
        assert len({source.name for source in found}) == len(found)
        for source in found:
            source.name.encode()

    @given(st.text(max_size=100))
    def test_names_of_report_files_are_harmless(self, name):
        made = names.file_name(7, name)
        assert made.startswith("00007-")
        assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-")
        assert len(made) <= 80

    def test_a_folder_of_submissions(self, tmp_path):
        for name in ("b.py", "a.py", ".hidden"):
            (tmp_path / name).touch()
        assert [os.path.basename(path) for path in intake.entries(str(tmp_path))] == ["a.py", "b.py"]
        with pytest.raises(UsageError, match="No such file"):
            intake.entries(str(tmp_path / "none"))


def test_the_digest_is_that_of_the_content(tmp_path):
    for name, content in (("x/a.py", "1"), ("y/a.py", "1"), ("z/a.py", "2"), ("z/b.py", "1")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    digests = [intake.load(Source("n", str(tmp_path / name))).digest for name in ("x/a.py", "y/a.py", "z/a.py", "z/b.py")]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
