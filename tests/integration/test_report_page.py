"""The report as a person meets it: opened from disk in a real browser, clicked through, on desk and phone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from lab import report
from lab.report.series import write
from tests import reports

ROOT = Path(__file__).parents[2]
DRIVER = "/usr/bin/chromedriver"  # Debian's chromium-driver; without it Selenium would look in the internet
SIZES = {"desk": (1280, 900), "phone": (390, 844)}

OVERFLOWING = """
return [...document.querySelectorAll('main *')].filter(item => {
  const box = item.getBoundingClientRect();
  return box.width && !item.closest('.scroll') && (box.right > innerWidth + 1 || box.left < -1);
}).map(item => item.outerHTML.slice(0, 120));
"""
"""Elements that stick out of the page; what scrolls within its own frame may."""


WIDER = "return arguments[0].scrollWidth > arguments[0].clientWidth"


class Browser:
    """Headless Chromium with the verbs of these tests."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))

    def look(self, page: Path, size: str = "desk", mood: str = "light") -> None:
        """Open a page at a size and in a mood."""
        width, height = SIZES[size]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {
                "features": [
                    {"name": "prefers-color-scheme", "value": mood},
                    {"name": "prefers-reduced-motion", "value": "reduce"},
                ]
            },
        )
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"},
        )
        self.driver.get("about:blank")
        self.driver.get(page.as_uri())

    def all(self, css: str) -> list[WebElement]:
        """All elements of a selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        """The first element of a selector."""
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def run(self, script: str, *arguments: object) -> Any:
        """The value of a script."""
        return self.driver.execute_script(script, *arguments)

    def click(self, element: WebElement) -> None:
        """Scroll there, then click as a mouse does: something that covers it is an error."""
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def complaints(self) -> list[dict[str, Any]]:
        """What the browser's console said since it was last asked."""
        found: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return found

    def shows(self, element: WebElement) -> bool:
        """Whether it is on the screen."""
        return bool(
            self.run(
                "const box = arguments[0].getBoundingClientRect();"
                "return box.height > 0 && box.top < innerHeight && box.bottom > 0",
                element,
            )
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    made = Browser()
    yield made
    made.driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a red run with everything in it."""
    folder = tmp_path_factory.mktemp("run")
    red = reports.red()
    for number, series in enumerate((reports.power_off(), reports.trials(), reports.under_load())):
        write(series, folder, str(number))
    for record in red.bad:
        path = folder / record.evidence / record.host / "journal of kubelet.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"what {record.host} said")
    report.write(red, folder)
    return folder / "report.html"


@pytest.mark.parametrize("mood", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_and_says_its_verdict_first(browser: Browser, page: Path, size: str, mood: str) -> None:
    browser.look(page, size, mood)
    assert browser.driver.title == "red: production-lxc"
    heading = browser.one("h1")
    assert heading.text == "Red: production-lxc is not what its inventory says"
    assert browser.shows(heading)
    for details in browser.all("details"):
        browser.run("arguments[0].open = true", details)
    assert browser.run("return document.documentElement.scrollWidth") <= SIZES[size][0]
    assert browser.run(OVERFLOWING) == []
    back = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(247, 247, 245)", "dark": "rgb(20, 23, 26)"}[mood]


def test_nothing_is_loaded_and_nothing_is_complained_about(browser: Browser, page: Path) -> None:
    browser.complaints()
    browser.look(page)
    assert browser.run("return performance.getEntriesByType('resource').map(item => item.name)") == []
    assert browser.complaints() == []


def test_a_cell_of_the_matrix_leads_to_its_reason(browser: Browser, page: Path) -> None:
    browser.look(page)
    (failed,) = browser.all("a.cell.failed")
    browser.click(failed)
    card = browser.one("article:target")
    assert browser.shows(card)
    for said in ("worker-2", "net.ipv4.ip_forward: 1", "sysctl net.ipv4.ip_forward", "L1-08"):
        assert said in card.text


def test_a_check_among_many_with_one_cause_is_shown_too(browser: Browser, page: Path) -> None:
    browser.look(page)
    browser.click(browser.all("a.cell.could-not-tell")[-1])
    target = browser.one(":target")
    assert browser.shows(target), "the link opens what it points into"
    assert "Every file of the machine's roles" in target.text


def test_evidence_is_one_click_away(browser: Browser, page: Path) -> None:
    browser.look(page)
    card = browser.one("article")
    link = card.find_element(By.CSS_SELECTOR, ".files a")
    assert not link.is_displayed()
    browser.click(card.find_element(By.CSS_SELECTOR, "details summary"))
    assert link.is_displayed()
    browser.click(link)
    assert browser.one("body").text == "what worker-2 said"


def test_a_layer_is_folded_when_green_and_opens_by_its_link(browser: Browser, page: Path) -> None:
    browser.look(page)
    states = {
        item.find_element(By.CSS_SELECTOR, "summary").text.split()[0]: item.get_attribute("open") is not None
        for item in browser.all("details.layer")
    }
    assert states == {"render": False, "node": True, "ha": False}
    browser.click(browser.one("a[href='#layer-ha']"))
    matrix = browser.one("#layer-ha")
    assert browser.shows(matrix)
    assert "The etcd leader's machine loses its power" in matrix.text


def test_the_keyboard_reaches_sections_and_what_is_folded(browser: Browser, page: Path) -> None:
    browser.look(page)
    browser.one("body").send_keys(Keys.TAB)
    first = browser.driver.switch_to.active_element
    assert first.text == "What is wrong"
    outline = browser.run("return getComputedStyle(arguments[0]).outlineStyle", first)
    assert outline == "solid", "where the keyboard is can be seen"
    first.send_keys(Keys.ENTER)
    assert browser.driver.current_url.endswith("#wrong")
    versions = browser.one("#versions summary")
    browser.run("arguments[0].focus()", versions)
    versions.send_keys(Keys.ENTER)
    assert "1.7.28" in browser.one("#versions table").text


def test_what_scrolls_within_its_frame_can_be_scrolled_by_keys(browser: Browser, page: Path) -> None:
    browser.look(page, "phone")
    for details in browser.all("details"):
        browser.run("arguments[0].open = true", details)
    wide = [item for item in browser.all(".scroll") if browser.run(WIDER, item)]
    assert len(wide) >= 3
    assert [item for item in wide if item.get_attribute("tabindex") != "0"] == []
    assert all(item.get_attribute("aria-label") for item in wide)


def test_pictures_have_a_size_and_share_one_time_axis(browser: Browser, page: Path) -> None:
    browser.look(page)
    story = browser.one("#story-1")
    for svg in browser.all(".story svg"):
        assert svg.size["width"] > 600
        assert svg.size["height"] > 20
        assert svg.get_attribute("aria-label")
    lines = [line.location["x"] for line in story.find_elements(By.CSS_SELECTOR, ".at.fault")]
    assert len(lines) >= 6
    assert max(lines) - min(lines) <= 1, "the fault stands at the same place in every picture"
    hole = story.find_elements(By.CSS_SELECTOR, ".hole")[1]
    plot = hole.find_element(By.XPATH, "..")
    # the address was silent from 12.0 to 21.2 of 60 seconds
    assert hole.rect["x"] - plot.rect["x"] == pytest.approx(plot.rect["width"] * 12.0 / 60, abs=4)
    assert hole.rect["width"] == pytest.approx(plot.rect["width"] * 9.2 / 60, abs=4)
    assert "9.20 s" in story.text


def test_alerts_lie_on_the_clients_time_axis_and_in_a_table(browser: Browser, page: Path) -> None:
    browser.look(page)
    bars = browser.all("#story-1 .alert")
    assert [bar.get_attribute("class") for bar in bars] == ["alert pending", "alert firing", "alert pending"]
    firing = bars[1].rect
    fault = browser.one("#story-1 .strip + .ranges .at.fault").rect
    plot = browser.one("#story-1 .ranges .plot").rect
    # 20 of the 60 seconds, and it began 23 seconds after the fault
    assert firing["width"] / plot["width"] == pytest.approx(20 / 60, abs=0.01)
    assert (firing["x"] - fault["x"]) / plot["width"] == pytest.approx(23 / 60, abs=0.01)
    table = browser.one("#story-1 [aria-label='alerts during the fault']")
    assert not table.is_displayed()
    browser.click(table.find_element(By.XPATH, "preceding-sibling::summary"))
    assert len(table.find_elements(By.CSS_SELECTOR, "tbody tr")) == len(bars)


def test_labels_at_the_edge_do_not_cover_each_other(browser: Browser, page: Path) -> None:
    for size in SIZES:
        browser.look(page, size)
        boxes = sorted(
            (label.rect["y"], label.rect["height"]) for label in browser.all(".curves .right span")
        )
        assert len(boxes) == 4
        assert all(y + height <= below + 1 for (y, height), (below, _) in pairwise(boxes))


def test_two_runs_stand_side_by_side(browser: Browser, page: Path) -> None:
    red = report.read(page.with_name("report.json"))
    older = red.model_copy(update={"records": red.records[1:], "started": "2026-11-24T18:00:00+00:00"})
    report.rebuild(red, page.parent, older)
    browser.look(page, "phone")
    browser.click(browser.one("a[href='#changes']"))
    assert browser.shows(browser.one("#changes"))
    assert "2026-11-24" in browser.one("#changes").text
    assert browser.run(OVERFLOWING) == []


def test_a_real_run_leaves_such_a_page(browser: Browser, tmp_path: Path) -> None:
    inventory = tmp_path / "page.yaml"
    text = (ROOT / "inventory" / "rehearsal.yaml").read_text()
    inventory.write_text(text.replace("\nlab: rehearsal\n", "\nlab: page\n"))

    def invoke(*arguments: str) -> str:
        command = [sys.executable, "-m", "invoke", *arguments, "-i", str(inventory)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    invoke("verify", "--layer", "render")
    said = invoke("report").splitlines()[-1]
    page = Path(said.removeprefix("report: ").rpartition(" (")[0])
    assert float(said.rpartition("(")[2].split()[0]) <= 2.0
    browser.look(page, "phone")
    assert browser.one("h1").text == "Green: page is what its inventory says"
    assert browser.all("article") == []
    for details in browser.all("details"):
        browser.run("arguments[0].open = true", details)
    assert browser.run(OVERFLOWING) == []
    assert "master-1" in browser.run("return document.querySelector('.matrix thead').textContent")
