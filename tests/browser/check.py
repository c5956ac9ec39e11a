#!/usr/bin/env python3
"""Loads pages and pictures in headless Chromium and checks how they look.

    tests/browser/check.py [--shots DIR] runs/*/report.html picture.svg ...

Each file is opened at a desktop's and a phone's width, light and dark. It must not be wider than the window, show no
text outside of its picture nor on another text of it, ask for nothing from anywhere, and have a ground that follows the
reader's theme. With --shots a picture of each is left in DIR to look at. Needs Chromium or Chrome and Python's standard
library: it talks to the browser over a pipe, in the DevTools protocol.
"""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"]
WIDTHS = [1280, 390]
THEMES = ["light", "dark"]

# What is wrong with the page as it stands, in words. A pixel is allowed for rounding.
PROBLEMS = """(() => {
  const found = [], page = document.documentElement, isSvg = page.nodeName === 'svg';
  if (!isSvg && page.scrollWidth > innerWidth) found.push(`scrolls sideways: ${page.scrollWidth} > ${innerWidth}`);
  const say = e => `<${e.nodeName.toLowerCase()}> "${(e.textContent || '').trim().slice(0, 40)}"`;
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg') || e.closest('.scroll') || !e.getClientRects().length) continue;
    const box = e.getBoundingClientRect();
    if (box.right > innerWidth + 1 || box.left < -1) found.push(`outside of the window: ${say(e)}`);
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible') found.push(`cut: ${say(e)}`);
  }
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBoundingClientRect());
    boxes.forEach((a, i) => {
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1)
        found.push(`outside of its picture: ${say(texts[i])}`);
      boxes.slice(i + 1).forEach((b, j) => {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        // A line's box is higher than its letters: a third of it may overlap.
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) - Math.min(a.height, b.height) / 3;
        if (wide > 1 && high > 0) found.push(`on each other: ${say(texts[i])} and ${say(texts[i + 1 + j])}`);
      });
    });
  }
  return found;
})()"""

# The ground's brightness, 0 to 255.
GROUND = """(() => {
  const root = document.documentElement, svg = root.nodeName === 'svg';
  const colour = svg ? getComputedStyle(root.querySelector('rect')).fill : getComputedStyle(document.body).backgroundColor;
  return Math.max(...colour.match(/\\d+/g).slice(0, 3).map(Number));
})()"""

HEIGHT = """Math.ceil(document.documentElement.nodeName === 'svg'
  ? document.documentElement.getBoundingClientRect().height : document.documentElement.scrollHeight)"""


class Browser:
    """A headless browser, and what it says."""

    def __init__(self, program, profile):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        command = (
            f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$0" --headless --no-sandbox --disable-gpu --no-first-run '
            f'--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars '
            f'--user-data-dir="$1" --remote-debugging-pipe'
        )
        self.process = subprocess.Popen(
            ["bash", "-c", command, program, profile],
            pass_fds=(theirs_in, theirs_out),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.reader, self.writer = os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb")
        self.buffer, self.number, self.session, self.requests = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network"):
            self.call(f"{domain}.enable")

    def message(self):
        while b"\0" not in self.buffer:
            part = self.reader.read1(1 << 16)
            if not part:
                raise RuntimeError("the browser went away")
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        return message

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.writer.write(json.dumps(message).encode() + b"\0")
        self.writer.flush()
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url, width, theme):
        self.size(width, 800)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.requests = []
        self.call("Page.navigate", url=url)
        while self.message().get("method") != "Page.loadEventFired":
            pass
        self.value("document.querySelectorAll('details').forEach(d => d.open = true)")

    def shot(self, path, width):
        self.size(width, min(self.value(HEIGHT) + 1, 12000))
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self):
        self.process.terminate()
        self.process.wait()
        # Its other processes outlive it for a moment, and would go on writing to the profile.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path, help="leave a picture of each file here")
    args = parser.parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        sys.exit(f"error: expected a browser, one of {', '.join(BROWSERS)}; Debian: apt-get install chromium")
    failed = 0
    # What a dying browser still writes there must not count as a page that is wrong.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        for number, file in enumerate(args.files):
            # A picture has one size; a page is as wide as the window.
            widths = WIDTHS[:1] if file.suffix == ".svg" else WIDTHS
            grounds = {}
            for width in widths:
                for theme in THEMES:
                    browser.open(file.resolve().as_uri(), width, theme)
                    problems = browser.value(PROBLEMS)
                    asked = [url for url in browser.requests[1:] if not url.startswith("data:")]
                    problems += [f"asks for {url}" for url in asked]
                    grounds[theme] = browser.value(GROUND)
                    if args.shots:
                        args.shots.mkdir(parents=True, exist_ok=True)
                        browser.shot(args.shots / f"{number}-{file.stem}-{width}-{theme}.png", width)
                    print(f"{file}, {width} px, {theme}: {'; '.join(problems) or 'ok'}")
                    failed += bool(problems)
            if not grounds["dark"] < 64 < 192 < grounds["light"]:
                print(f"{file}: its ground does not follow the reader's theme: {grounds}")
                failed += 1
        browser.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
