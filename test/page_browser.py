"""A headless Chromium that opens pages of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
PATIENCE_S = 60.0  # it draws in software, and other tests may run beside this one
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    # WebGL without a GPU
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # nothing leaves this machine
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # the smaller it is, the less there is to draw in software
    "--window-size=1280,800",
)


@contextmanager
def open_browser(profile: Path) -> Iterator[Any]:
    """A browser with a profile of its own; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    missing = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing:
        pytest.skip(f"needs Chromium: {', '.join(missing)} not here")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    driver.set_page_load_timeout(PATIENCE_S)
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def page_in_tab(browser: Any, url: str) -> Iterator[Any]:
    """The browser with a page in a tab of its own, which is closed: a page that is only left may live on unseen."""
    before = browser.current_window_handle
    browser.switch_to.new_window("tab")
    try:
        browser.get(url)
        yield browser
    finally:
        left = browser.current_window_handle
        patiently(lambda: close_tab(browser, left))
        browser.switch_to.window(before)


def close_tab(browser: Any, tab: str) -> None:
    """Closes a tab unless it is closed already, as after a close that was told of too late."""
    if tab in browser.window_handles:
        browser.switch_to.window(tab)
        browser.close()


def patiently(step: Callable[[], Any]) -> Any:
    """What the step returns; once more while the page draws and does not answer the driver, which waits ten seconds."""
    from selenium.common.exceptions import TimeoutException

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return step()
        except TimeoutException:  # noqa: PERF203 -- a loop of slow steps
            if time.monotonic() > deadline:
                raise


def eventually(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """What the condition comes to once it is true, or its last value when it never is."""
    deadline = time.monotonic() + timeout_s
    value = condition()
    while not value and time.monotonic() < deadline:
        time.sleep(0.2)
        value = condition()
    return value


def page_text(browser: Any) -> str:
    """All that a person can read on the page."""
    return str(patiently(lambda: browser.execute_script("return document.body.innerText")))


def keep_screenshot(browser: Any, folder: Path, name: str) -> Path:
    """A picture of the page, in the folder that N3D_TEST_OUT names, else in the test's own."""
    target = Path(os.environ.get("N3D_TEST_OUT", folder)) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    patiently(lambda: browser.save_screenshot(str(target)))
    return target
