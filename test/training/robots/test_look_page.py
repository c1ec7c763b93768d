"""look.html in a browser: all pictures, and the pixel under the mouse as labels.txt takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_training.robots.pictures import page, with_rulers
from page_browser import eventually, keep_screenshot, open_browser, page_text


def test_the_page_tells_the_pixel_under_the_mouse(labels: Path, tmp_path: Path) -> None:
    with open_browser(tmp_path / "profile") as browser:
        browser.get((labels / "look.html").as_uri())
        loaded = "return [...document.images].every(i => i.complete && i.naturalWidth === 160)"
        browser.execute_script("for (const image of document.images) image.loading = 'eager'")
        assert eventually(lambda: browser.execute_script(loaded))
        move = """
            const image = document.images[1], box = image.getBoundingClientRect();
            const at = {clientX: box.left + 40.5 * box.width / 160, clientY: box.top + 70.5 * box.height / 120,
                        bubbles: true};
            image.dispatchEvent(new MouseEvent("mousemove", at));
            return document.getElementById("at").textContent"""
        assert eventually(lambda: browser.execute_script(move)) == "frame 0000.100   pixel 40 70"
        assert "frame 0000.500" in page_text(browser)
        keep_screenshot(browser, tmp_path, "look_page.png")
        assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_names_cannot_write_into_the_page() -> None:
    text = page("<script>bad()</script>", ['a"onload="bad()']).decode()
    assert "<script>bad" not in text and 'alt="frame a"' not in text


def test_rulers_count_pixels_at_two_borders(labels: Path) -> None:
    np = pytest.importorskip("numpy")
    drawn = with_rulers(np.full((240, 320, 3), 128, np.uint8))
    assert (drawn[0, [20, 60, 300]] != 128).all() and (drawn[[20, 220], 0] != 128).all()
    assert (drawn[60:, 60:] == 128).all()
