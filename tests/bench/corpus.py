"""A folder of real files of many kinds: packages' own documentation, and what pandoc and LibreOffice make of it.

    python tests/bench/corpus.py FOLDER [ROOT ...]

takes files from the roots (by default this interpreter, its packages and /usr/share), equal ones once, in the order of
their digests, so that the same roots give the same folder. What needs a program that is not here is left out, and told.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from itertools import islice
from pathlib import Path

TAKEN = {
    "html": 560,
    "rst": 360,
    "md": 300,
    "txt": 260,
    "json": 180,
    "yaml": 80,
    "toml": 60,
    "xml": 140,
    "csv": 60,
    "pdf": 30,
    "py": 180,
}
"""How many files of each extension are taken as they are."""

PANDOC = {"docx": 60, "epub": 30, "pptx": 20, "odt": 10}
OFFICE = {"xlsx": 40, "ods": 20, "xls": 20}
PRINTED, MAILS = 25, 40
_LARGEST, _SMALLEST = 400_000, 200


def main(folder: Path, roots: Sequence[Path]) -> None:
    """Fill the folder."""
    folder.mkdir(parents=True)
    for extension, most in TAKEN.items():
        for number, path in enumerate(islice(found(roots, extension), most)):
            shutil.copyfile(path, folder / f"{extension}-{number:03}-{path.name[-60:]}")
    _mails(folder)
    if shutil.which("pandoc"):
        _by_pandoc(folder)
    else:
        sys.stderr.write("left out: what pandoc makes, which is not here\n")
    if shutil.which("soffice"):
        _by_office(folder)
    else:
        sys.stderr.write("left out: what LibreOffice makes, which is not here\n")
    sys.stdout.write(
        f"{len([*folder.iterdir()])} files, {sum(path.stat().st_size for path in folder.iterdir()):,} bytes\n"
    )


def found(roots: Sequence[Path], extension: str) -> Iterator[Path]:
    """Files of an extension, each content once."""
    known: dict[str, Path] = {}
    for path in sorted(path for root in roots for path in root.rglob(f"*.{extension}")):
        if path.is_file() and not path.is_symlink() and _SMALLEST <= path.stat().st_size <= _LARGEST:
            known.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    yield from (known[digest] for digest in sorted(known))


def _mails(folder: Path) -> None:
    for number, path in enumerate(islice(sorted(folder.glob("txt-*")), MAILS)):
        mail = EmailMessage()
        mail["From"], mail["To"] = f"author{number}@example.org", "list@example.org"
        mail["Subject"], mail["Date"] = f"About {path.name}", "Mon, 02 Nov 2026 09:00:00 +0000"
        mail.set_content(path.read_bytes().decode("utf-8", "replace"))
        (folder / f"eml-{number:03}.eml").write_bytes(bytes(mail))


def _by_pandoc(folder: Path) -> None:
    sources = sorted(folder.glob("md-*.md"))
    at = 0
    for extension, most in PANDOC.items():
        for number in range(most):
            target = folder / f"{extension}-{number:03}.{extension}"
            command = ["pandoc", "-f", "gfm", "--quiet", "--metadata", "title=Made", str(sources[at])]
            subprocess.run([*command, "-o", str(target)], check=False, stderr=subprocess.DEVNULL, timeout=120)
            at = (at + 1) % len(sources)


def _by_office(folder: Path) -> None:
    tables = sorted(folder.glob("csv-*.csv"))
    with tempfile.TemporaryDirectory() as scratch:
        start = 0
        for extension, most in OFFICE.items():
            _convert(tables[start % len(tables) :][:most], extension, Path(scratch), folder)
            start += most
        _convert([*islice(sorted(folder.glob("docx-*.docx")), PRINTED)], "pdf", Path(scratch), folder)


def _convert(files: Sequence[Path], extension: str, scratch: Path, folder: Path) -> None:
    made = scratch / extension
    profile = f"-env:UserInstallation=file://{scratch}/profile"
    command = ["soffice", profile, "--headless", "--convert-to", extension, "--outdir", str(made), *map(str, files)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=580)
    if not made.is_dir():
        sys.stderr.write(f"left out: {extension}, since LibreOffice makes none here\n")
        return
    for path in made.iterdir():
        shutil.move(path, folder / f"{extension}-{path.name}")


if __name__ == "__main__":
    _, target, *roots = sys.argv
    main(Path(target), [Path(root) for root in roots] or [Path(sys.prefix), Path(sys.base_prefix), Path("/usr/share")])
