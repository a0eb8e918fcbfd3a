"""Made-up work and the folders and archives in which it arrives, for tests that need no PyTorch."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from grader.classes.records import Reading, Submission

MODULES = ("gaussians", "vae")
Files = Mapping[str, str | bytes]
WHEN = (2026, 11, 20, 12, 0, 0)


def written(root: Path, files: Files) -> Path:
    """Files and, where a name ends in a slash, empty folders."""
    for name, content in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def packed(files: Files, kind: str = "zip", when: tuple[int, int, int, int, int, int] = WHEN) -> bytes:
    """An archive of files; `when` is the time of each of them."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, when), content, zipfile.ZIP_DEFLATED)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, content in files.items():
                data = content if isinstance(content, bytes) else content.encode()
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def work(owner: str, where: str = "") -> dict[str, str | bytes]:
    """Two modules that say whose they are."""
    return {f"{where}{module}.py": f"owner = {owner!r}\n" for module in MODULES}


def owner_in(submission: Submission) -> str:
    """Whose text a row has; empty where it has none."""
    texts = {text.partition("'")[2].partition("'")[0] for text in submission.sources.values()}
    assert len(texts) < 2, f"{submission.name} has the text of {texts}"
    return next(iter(texts), "")


def mapped(reading: Reading) -> dict[tuple[str, str], str]:
    """By name and number: whose text a row has."""
    found: dict[tuple[str, str], str] = {}
    for submission in reading.submissions:
        assert submission.owner is not None
        assert submission.origin
        assert submission.sources or submission.problems
        key = (submission.owner.name, submission.owner.id)
        assert key not in found, key
        found[key] = owner_in(submission)
    names = [submission.name for submission in reading.submissions]
    keys = [submission.owner.key for submission in reading.submissions if submission.owner is not None]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)
    return found
