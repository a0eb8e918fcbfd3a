"""``python -m tests.page_pictures RUN STUDENT``: docs/images/report.png, report-phone.png and class.png.

The report is a real one, of a run folder; the class is made up. Both are opened in Chromium, as tests/test_browser.py does.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from grader.grading.graded import graded
from grader.report.pages import classroom, student

from .conftest import ROOT
from .made_reports import a_class
from .test_browser import ARGUMENTS, NAMES

COLOURS = 128
SHOTS = (
    ("report.html", "report.png", "light", (1440, 1180)),
    ("report.html", "report-phone.png", "dark", (390, 1100)),
    ("class.html", "class.png", "light", (1440, 1180)),
)


def main() -> None:
    """Writes the three pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.page_pictures", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("student")
    options = parser.parse_args()
    [report] = [one.report for one in graded(options.run) if one.report.submission == options.student]
    path = next(filter(None, map(shutil.which, NAMES)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        Path(folder, "report.html").write_text(student.render(report), encoding="utf-8")
        Path(folder, "class.html").write_text(classroom.render(a_class(80)), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS])
        for name, picture, scheme, (width, height) in SHOTS:
            size = {"width": width, "height": height}
            page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(Path(folder, name).as_uri())
            taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
            taken.save(ROOT / "docs" / "images" / picture, optimize=True)


if __name__ == "__main__":
    main()
