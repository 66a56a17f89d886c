"""The built pages in a real browser, on a desk and on a phone: `pytest -m browser` after `make book`."""

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

PAGES = Path(__file__).resolve().parents[1] / "_build" / "html"
NAMES = sorted(p.relative_to(PAGES).as_posix() for p in PAGES.rglob("*.html") if "_static" not in p.parts)
WIDTHS = {"desk": 1280, "phone": 390}
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site():
    """The pages over http, at an address of this machine."""
    if not NAMES:
        pytest.skip("the book is not built: make book")
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *args: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=PAGES)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A headless Chromium that logs its console and its requests."""
    selenium = pytest.importorskip("selenium.webdriver")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("chromium and chromedriver are not installed")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(chromedriver))
    yield browser
    browser.quit()


@pytest.fixture(params=WIDTHS)
def screen(request, driver):
    """The name of a screen that the browser now has the width of."""
    metrics = {"width": WIDTHS[request.param], "height": 800, "deviceScaleFactor": 1, "mobile": request.param == "phone"}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    return request.param


def requested_hosts(driver) -> set[str]:
    """Hosts that the browser has sent a request to since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {urlsplit(url).netloc for url in urls if url.startswith("http")}


@pytest.mark.parametrize("name", NAMES or ["index.html"])
def test_a_page_is_whole(site, driver, screen, name):
    driver.get_log("browser"), driver.get_log("performance")
    driver.get(f"{site}/{name}")
    driver.execute_async_script("document.fonts.ready.then(() => setTimeout(arguments[0], 300))")
    errors = [e["message"] for e in driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
    assert errors == []
    assert requested_hosts(driver) == {urlsplit(site).netloc}
    wide = driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} is {wide} px wider than a {screen}"
    images = driver.execute_script(
        "return [...document.querySelectorAll('article img')].map(i => [i.getAttribute('src'), i.alt, i.naturalWidth])"
    )
    assert [source for source, alt, width in images if not (alt and width)] == [], "no alt text, or not loaded"
    unresolved = driver.execute_script("return document.querySelectorAll('article mjx-merror, article .problematic').length")
    assert unresolved == 0, "a formula or a reference is broken"


def test_a_menu_button_opens_the_list_of_pages(site, driver, screen):
    driver.get(f"{site}/index.html")
    link = driver.find_element("css selector", ".bd-sidebar-primary a[href='methods.html'], dialog a[href='methods.html']")
    buttons = driver.find_elements("css selector", "button.primary-toggle, label.primary-toggle")
    button = next(b for b in buttons if b.is_displayed())

    def shown() -> bool:
        box = driver.execute_script("const b = arguments[0].getBoundingClientRect(); return [b.left, b.right]", link)
        return link.is_displayed() and box[1] > 0 and box[0] < WIDTHS[screen]

    def press() -> bool:
        before = shown()
        button.click()
        driver.execute_async_script("setTimeout(arguments[0], 600)")
        return shown() != before

    assert shown() == (screen == "desk")
    assert press(), "the menu button does nothing"
    if screen == "phone":
        link.click()
        assert driver.current_url.endswith("/methods.html")
