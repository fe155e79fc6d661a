"""Debian's Chromium, driven by WebDriver, without a window; emulates sizes, fingers and dark or light."""

import base64
import contextlib
import itertools
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.missing import missing

SIZES = {"phone": (390, 844), "tablet": (1024, 768), "desktop": (1440, 900)}
WAIT_SECONDS = 20.0
CLICKS = 9
TAPS, TAP_SECONDS = 4, 5.0
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--hide-scrollbars",
)


class Browser:
    """One browser. Scripts are the body of an async function of the page."""

    def __init__(self) -> None:
        for program in ("chromium", "chromedriver"):
            if shutil.which(program) is None:
                missing(f"{program} is missing; install chromium and chromium-driver")
        options = Options()
        options.binary_location = str(shutil.which("chromium"))
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver: Chrome = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(60)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.driver.quit()

    def open(self, address: str, size: str = "desktop", *, dark: bool = True, touch: bool = False) -> None:
        width, height = SIZES[size]
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch
        )
        self.command("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get(address)

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, body: str, *arguments: Any) -> Any:
        """What the script gives back; its arguments are those of the function."""
        wrapped = (
            "const done = arguments[arguments.length - 1], given = [...arguments].slice(0, -1);"
            f"(async () => {{ {body} }})().then((value) => done({{ value }}), (error) => done({{ error: String(error && error.stack || error) }}));"
        )
        result = self.driver.execute_async_script(wrapped, *arguments)
        assert "error" not in result, result["error"]
        return result.get("value")

    def until(self, condition: str, seconds: float = WAIT_SECONDS) -> Any:
        """Wait until an expression of the page is true; its value."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(f"return {condition};")):
            if time.monotonic() > deadline:
                raise AssertionError(f"never true: {condition}; {self.tell()}")
            time.sleep(0.03)
        return value

    def tell(self) -> str:
        """What the page says of itself: its toast, its link, what the console has."""
        said = self.run("return [document.getElementById('toast')?.textContent, document.body.dataset.link];")
        return f"{said} {self.errors()}"

    def errors(self) -> list[str]:
        """What has gone wrong in the console since it was asked last."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """Click what the selector finds; once more where it was drawn anew between the two."""
        for _ in range(CLICKS):
            with contextlib.suppress(StaleElementReferenceException):
                return self.find(selector).click()
        raise AssertionError(f"{selector} is drawn anew all the time; {self.tell()}")

    def mouse(self, kind: str, selector: str) -> None:
        """The left button goes down ("mousePressed") or up ("mouseReleased") over the middle of something."""
        x, y = self.middle(selector)
        self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def text(self, selector: str) -> str:
        said: str = self.run("return document.querySelector(given[0]).innerText;", selector)
        return said

    def touch(self, *points: tuple[float, float]) -> None:
        """A finger goes down at the first point, moves to the others, and is lifted."""
        kinds = itertools.chain(["touchStart"], itertools.repeat("touchMove"))
        for kind, (x, y) in zip(kinds, points, strict=False):
            self.command("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def tap(self, selector: str, condition: str) -> None:
        """A finger taps something until a condition is true: on a busy machine a tap may become a long press."""
        for _ in range(TAPS):
            self.touch(self.middle(selector))
            with contextlib.suppress(AssertionError):
                self.until(condition, TAP_SECONDS)
                return
        self.until(condition)

    def middle(self, selector: str) -> tuple[float, float]:
        self.until(f"document.querySelector({json.dumps(selector)})?.offsetParent")
        box = self.run(
            "const r = document.querySelector(given[0]).getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2];",
            selector,
        )
        return float(box[0]), float(box[1])

    def press(self, key: str, code: str = "", text: str = "") -> None:
        """A key of the keyboard, wherever the focus is."""
        told = {"key": key, "code": code or key, "text": text or (key if len(key) == 1 else "")}
        if key == "Enter":
            told["text"] = "\r"
        number = {
            "Enter": 13,
            "Tab": 9,
            " ": 32,
            "ArrowLeft": 37,
            "ArrowUp": 38,
            "ArrowRight": 39,
            "ArrowDown": 40,
            "Delete": 46,
        }
        codes = {"windowsVirtualKeyCode": number.get(key, ord(key.upper()) if len(key) == 1 else 0)}
        self.command("Input.dispatchKeyEvent", type="keyDown", **told, **codes)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key, code=code or key, **codes)

    def drop(self, path: Path, selector: str = "body") -> None:
        """A file from outside is dropped on a place of the page."""
        content = base64.b64encode(path.read_bytes()).decode()
        self.run(
            """
            const bytes = Uint8Array.from(atob(given[0]), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], given[1], { type: "audio/midi" }));
            const place = document.querySelector(given[2]);
            for (const kind of ["dragenter", "dragover", "drop"]) {
              place.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));
            }
            """,
            content,
            path.name,
            selector,
        )

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    opened = Browser()
    try:
        yield opened
    finally:
        opened.close()
