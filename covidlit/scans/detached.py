"""Image headers whose voxels lie in another file: which one, and whether it may be opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from covidlit.errors import CovidlitError
from covidlit.files import printable
from covidlit.scans.folder import kind_of_special

_HEADER_BYTES = 65_536
_NRRD_FIELD = re.compile(rb"^data ?file: ?(.+)$", re.I | re.M)
_META_FIELD = re.compile(rb"^\s*ElementDataFile\s*=\s*(.+)$", re.I | re.M)
_PATTERN = re.compile(r"%\d*d")


def check_data_files(path: Path) -> None:
    """Refuse a header that sends its reader out of its folder, or to what is no regular file.

    Reading would open whatever is named there: another user's file, or a pipe that never ends.

    Args:
        path: any image file; those that hold their voxels themselves pass.

    Raises:
        CovidlitError: names the file that is not opened.
        OSError: the header cannot be read.
    """
    folder = path.parent.resolve()
    for name in _data_files(path):
        target = folder / name
        whole = target.resolve()
        if not whole.is_relative_to(folder):
            raise CovidlitError(
                f"its voxels lie in another file, outside of its folder ({printable(name)}), which "
                "is not opened.",
                where=printable(path),
                fix="put both files into one folder, and name the other without a path.",
            )
        if not whole.exists():
            raise CovidlitError(
                f"the file with its voxels is not there ({printable(name)}).",
                where=printable(path),
                fix="copy both files.",
            )
        if special := kind_of_special(whole) or ("a folder" if whole.is_dir() else ""):
            raise CovidlitError(
                f"its voxels lie in {printable(name)}, which is {special} and is not opened.",
                where=printable(path),
            )


def _data_files(path: Path) -> Iterator[str]:
    suffix = path.suffix.lower()
    if suffix == ".hdr":
        names = [name for name in (f"{path.stem}.img", f"{path.stem}.IMG") if _there(path, name)]
        yield from names[:1]
    if suffix not in (".nrrd", ".nhdr", ".mhd", ".mha"):
        return
    with path.open("rb") as handle:
        head = handle.read(_HEADER_BYTES)
    if suffix in (".nrrd", ".nhdr"):
        head = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
        found = _NRRD_FIELD.search(head)
    else:
        found = _META_FIELD.search(head)
    if found is None:
        return
    value = found[1].strip().decode("utf-8", "surrogateescape")
    if value.upper().startswith("LIST"):
        lines = head[found.end() :].decode("utf-8", "surrogateescape").splitlines()
        yield from (line.strip() for line in lines if line.strip())
    elif pattern := _PATTERN.search(value):
        words = value.split()
        yield from _numbered(words, pattern[0]) if len(words) > 2 else [value]
    elif not (suffix in (".mhd", ".mha") and value.upper() == "LOCAL"):
        yield value


def _numbered(words: list[str], pattern: str) -> Iterator[str]:
    """The names that a pattern such as `slice%03d.raw 1 20 1` stands for."""
    template, numbers = words[0], words[1:]
    width = re.sub("[%d]", "", pattern)
    try:
        first, last, step = (int(number) for number in [*numbers, "1"][:3])
        names = range(first, last + 1, step or 1)
    except ValueError:
        names = range(0)
    for number in names[:100_000]:
        yield template.replace(pattern, format(number, f"{width}d" if width else "d"))


def _there(path: Path, name: str) -> bool:
    return path.with_name(name).is_symlink() or path.with_name(name).exists()
