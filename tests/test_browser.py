"""Pages in a real browser: nothing is fetched, nothing goes wrong, tables obey the keyboard, axe-core has no objection."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

from grader.report.pages import student
from grader.report.pictures.values import Picture
from grader.report.write import write_page, write_report

from .made_reports import EVIL, a_class, report_of, strange, wrong
from .made_run import BY_ID

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
RULES = {"resultTypes": ["violations"]}  # all of them, also those that are only good practice
PAGES = ("report.html", "strange.html", "unread.html", "class.html")
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def can_be_had() -> bool:
    """Whether whoever runs this may install the browser: then a run of all tests must not do without it."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("apt-cache"):
        return False
    found = subprocess.run(["apt-cache", "show", "chromium"], capture_output=True)
    return found.returncode == 0 and bool(found.stdout.strip())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get("CI") == "true" and can_be_had():
            pytest.fail("there is no Chromium, and this machine can have one: apt-get install chromium")
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS])
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class with its reports, one of them with pictures, one that is as hostile as can be."""
    out = tmp_path_factory.mktemp("reports")
    reports = a_class(30)
    for report in reports:
        write_report(report, out)
    write_page(reports, out)
    some = {name: wrong(BY_ID[name]) for name in ("q1.pmf.expectation", "q2.standard.value")}
    pictures = [Picture(8, "q8.trained.vae", "Samples", "ten handwritten digits", DOT, ""),
                Picture(8, "q8.trained.vae", "Latents", "", b"", "the model gave no numbers")]  # fmt: skip
    (out / "report.html").write_text(student.render(report_of(some), pictures), encoding="utf-8")
    (out / "strange.html").write_text(student.render(strange()), encoding="utf-8")
    (out / "unread.html").write_text(student.render(reports[-1]), encoding="utf-8")
    (out / "hostile.html").write_text(
        student.render(strange(), [Picture(1, "q1.pmf.expectation", EVIL, EVIL, DOT, "")]), encoding="utf-8"
    )
    return out


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Open:
    """Opens a page and, when it is left, asserts that nothing was fetched and the console stayed empty."""

    @contextmanager
    def at(name: str, scheme: str = "light", size: dict[str, int] = DESK, **options: Any) -> Iterator[Page]:
        context: BrowserContext = browser.new_context(viewport=size, color_scheme=scheme, **options)  # type: ignore[arg-type]
        try:
            asked: list[str] = []
            said: list[str] = []
            context.on("request", lambda request: asked.append(request.url))
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))

            def refuse(dialog: Dialog) -> None:
                said.append(f"a dialog: {dialog.message}")
                dialog.dismiss()

            page.on("dialog", refuse)
            page.goto((folder / name).as_uri())
            yield page
            own = (folder / name).as_uri()
            assert [url for url in asked if url.split("#")[0] != own and not url.startswith("data:image/png")] == []
            assert said == []
        finally:
            context.close()

    return at


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("scheme", "size"), [("dark", PHONE), ("light", DESK)], ids=["phone-dark", "desk-light"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    opened: Open, name: str, scheme: str, size: dict[str, int]
) -> None:
    with opened(name, scheme, size) as page:
        for fold in page.locator("details").all()[:20]:
            fold.evaluate("one => one.open = true")
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_a_hostile_text_runs_nothing(opened: Open) -> None:
    with opened("hostile.html") as page:
        assert page.locator("script").count() == 0
        assert page.locator("img").count() == 1
        assert "<script>alert(1)</script>" in page.inner_text("h1")


def test_a_script_that_is_not_ours_is_refused(opened: Open, folder: Path) -> None:
    """What the policy is for, should the templates ever fail."""
    text = (folder / "class.html").read_text(encoding="utf-8")
    (folder / "injected.html").write_text(
        text.replace("<h1>", "<script>document.title = 'mine'</script><h1>"), encoding="utf-8"
    )
    with pytest.raises(AssertionError, match="Content Security Policy"), opened("injected.html") as page:
        assert page.title() != "mine"


def names(page: Page) -> list[str]:
    """Who is in the table of students, in order, and shown."""
    return page.locator("#students-table tbody tr:visible th").all_inner_texts()


def scores(page: Page) -> list[float]:
    """The numbers by which the table is sorted, where there are any."""
    cells = page.locator("#students-table tbody tr:visible td:nth-of-type(2)").all()
    return [float(value) for cell in cells if (value := cell.get_attribute("data-v"))]


def test_the_table_is_sorted_by_keyboard(opened: Open) -> None:
    with opened("class.html") as page:
        before = names(page)
        assert before == sorted(before, key=str.casefold)
        head = page.locator("#students-table th", has_text="Score")
        head.get_by_role("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        assert scores(page) == sorted(scores(page))
        page.keyboard.press("Space")
        assert head.get_attribute("aria-sort") == "descending"
        assert scores(page) == sorted(scores(page), reverse=True)
        assert sorted(names(page)) == sorted(before)
        page.locator("#students-table th", has_text="Student").first.get_by_role("button").press("Enter")
        assert head.get_attribute("aria-sort") is None
        assert names(page) == before


def test_rows_without_a_number_come_last(opened: Open) -> None:
    with opened("class.html") as page:
        column = "#checks-table tbody tr td:nth-of-type(5)"
        for key in ("Enter", "Enter"):
            page.locator("#checks-table th", has_text="Discrimination").get_by_role("button").press(key)
            values = [cell.get_attribute("data-v") or "" for cell in page.locator(column).all()]
            assert "" not in values[: len([value for value in values if value])]


def test_the_table_is_filtered_by_keyboard(opened: Open) -> None:
    with opened("class.html") as page:
        everybody = names(page)
        page.locator(".filter[data-of=students-table] input").focus()
        page.keyboard.type("STUDENT 017")
        assert names(page) == ["Student 017 of Course"]
        assert page.locator(".filter[data-of=students-table] output").inner_text() == f"1 of {len(everybody)} shown"
        page.keyboard.press("Control+A")
        page.keyboard.press("Delete")
        page.keyboard.press("Tab")
        page.keyboard.type("not read")
        assert names(page) == ["Zoe Broken"]


def test_without_script_it_is_a_plain_table(browser: Browser, opened: Open) -> None:
    with opened("class.html", java_script_enabled=False) as page:
        assert page.locator("#students-table button").count() == 0
        assert not page.locator(".filter").first.is_visible()
        assert len(names(page)) == 30


def test_links_of_the_class_lead_to_reports(opened: Open) -> None:
    with opened("class.html") as page:
        target = page.locator("#students-table tbody a").first.evaluate("link => link.href")
        assert Path(target.removeprefix("file://").replace("%20", " ")).is_file()


@pytest.mark.parametrize("name", ["report.html", "class.html"])
def test_what_is_folded_is_printed(opened: Open, name: str) -> None:
    with opened(name, "dark") as page:
        inside = page.locator("main details > :not(summary)").first
        assert inside.evaluate("one => one.checkVisibility({contentVisibilityAuto: true})") is False
        page.emulate_media(media="print")
        assert inside.evaluate("one => one.checkVisibility({contentVisibilityAuto: true})") is True
        assert inside.bounding_box()["height"] > 5
        assert not page.locator(".skip").is_visible()
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 29, 35)", (
            "dark letters, whatever the screen likes"
        )


def test_the_first_stop_of_the_keyboard_skips_to_the_report(opened: Open) -> None:
    with opened("report.html") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
        page.keyboard.press("Enter")
        assert page.url.endswith("#main")
        page.get_by_role("link", name="Question 2").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("#question-2").evaluate("one => one.getBoundingClientRect().top") < 100
