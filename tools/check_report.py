#!/usr/bin/env python3
"""Opens a report of `fonds report` from the disk in headless Chromium and uses it: charts, filters,
slider, keyboard review, the saved review.csv, 20,000 pictures, hostile names; then follows the
review with `fonds run` and takes it back.

    tools/check_report.py --fonds target/debug/fonds [--archive FOLDER] [--shots FOLDER]

Needs chromium and chromedriver (Debian: chromium, chromium-driver) and nothing else; speaks
WebDriver itself. Says `skipped` and ends with 0 where they are not there.
"""

import argparse
import base64
import contextlib
import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTE = '=HYPERLINK("x"), "quoted";@home'
KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "enter": "\ue007",
        "escape": "\ue00c", "end": "\ue010", "home": "\ue011", "tab": "\ue004"}
HOSTILE = ["<script>alert(1)<script>.png", "'\"><img src=x onerror=document.title='owned'>.png",
           "=1+1.png", "@SUM(A1) 100%41 & more.png", "two\nlines.png"]


class Browser:
    """A session of chromedriver, as far as it is needed here."""

    def __init__(self, chromium, driver, downloads):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.process = subprocess.Popen([driver, f"--port={port}", "--log-level=OFF"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                     "--force-color-profile=srgb", "--window-size=1440,900", "--disable-dev-shm-usage"]
        options = {"binary": chromium, "args": arguments,
                   "prefs": {"download.default_directory": str(downloads), "download.prompt_for_download": False}}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                                                   "goog:loggingPrefs": {"browser": "ALL"}}}}
        for _ in range(100):
            try:
                answer = self.ask("POST", f"{self.base}/session", wanted)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        else:
            raise SystemExit("chromedriver does not answer")
        self.session = f"{self.base}/session/{answer['sessionId']}"

    @staticmethod
    def ask(method, url, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise AssertionError(f"{told['error']}: {told['message'].splitlines()[0]}") from None

    def post(self, path, **body):
        return self.ask("POST", f"{self.session}/{path}", body)

    def open(self, page, fragment=""):
        # Another fragment alone would not load the page again.
        self.post("url", url="about:blank")
        self.post("url", url=page.as_uri() + fragment)

    def run(self, script, *arguments):
        return self.post("execute/sync", script=script, args=list(arguments))

    def wait(self, script, *arguments, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.run(script, *arguments)
            if found:
                return found
            time.sleep(0.03)
        raise AssertionError(f"never true: {script}")

    def keys(self, *names):
        actions = []
        for name in names:
            value = KEYS.get(name, name)
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self.post("actions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def drag(self, start, end):
        def move(place, took):
            return {"type": "pointerMove", "x": round(place[0]), "y": round(place[1]), "duration": took}

        actions = [move(start, 0), {"type": "pointerDown", "button": 0}, move(end, 120), {"type": "pointerUp", "button": 0}]
        self.post("actions", actions=[{"type": "pointer", "id": "mouse", "actions": actions}])

    def devtools(self, command, **parameters):
        return self.post("goog/cdp/execute", cmd=command, params=parameters)

    def screen(self, width, height, mobile=False, dark=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=2 if mobile else 1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", media="", features=[scheme])

    def errors(self):
        return [entry["message"] for entry in self.post("se/log", type="browser") if entry["level"] == "SEVERE"]

    def shot(self, path):
        answer = self.devtools("Page.captureScreenshot", format="png")
        Path(path).write_bytes(base64.b64decode(answer["data"]))

    def close(self):
        with contextlib.suppress(Exception):
            self.ask("DELETE", self.session)
        self.process.terminate()
        self.process.wait(10)


def fonds(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"fonds {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}")
    return done


def make_archive(folder, source):
    """The archive of the fixtures, and pictures whose names would do harm."""
    shutil.copytree(source, folder)
    example = folder / "slides" / "lake, gray.png"
    for name in HOSTILE:
        shutil.copy(example, folder / name)
    (folder / "cut off.png").write_bytes(example.read_bytes()[:60])


def read_data(report):
    text = (report / "data.js").read_text()
    return json.loads(text.removeprefix("window.fonds = ").rstrip().removesuffix(";"))


def enlarge(report, target, count):
    """A report whose contact sheet has so many pictures: those of another one, again and again."""
    target.mkdir()
    for name in ["index.html", "report.css", "report.js"]:
        shutil.copy(report / name, target)
    os.symlink(report / "pictures", target / "pictures")
    os.symlink(report / "details", target / "details")
    data = read_data(report)
    old = data["data"]["count"]
    for name, column in data["sheet"].items():
        if name != "words_of":
            data["sheet"][name] = [column[i % old] for i in range(count)]
    data["sheet"]["id"] = [f"{data['sheet']['id'][i]}-{i}" for i in range(count)]
    data["sheet"]["title"] = [f"{title or 'untitled'} {i}" for i, title in enumerate(data["sheet"]["title"])]
    data["data"].update(count=count, reviews=[], key="many")
    (target / "data.js").write_text("window.fonds = " + json.dumps(data) + ";\n")


FRAMES = """
const [step, frames, done] = arguments;
const times = []; let last = performance.now(), most = 0, left = frames;
function frame(now) {
  times.push(now - last); last = now;
  most = Math.max(most, document.querySelectorAll('.cell').length);
  if (left-- > 0) { window.scrollBy(0, step); requestAnimationFrame(frame); }
  else done({ times: times.slice(2), most, y: window.scrollY });
}
requestAnimationFrame(frame);
"""


def scroll(browser, step, frames):
    found = browser.post("execute/async", script=FRAMES, args=[step, frames])
    times = sorted(found["times"])
    return {"median": times[len(times) // 2], "p95": times[int(len(times) * 0.95)], "worst": times[-1],
            "cells": found["most"], "y": found["y"]}


def check_overview(browser, report):
    browser.open(report / "index.html")
    assert browser.wait("return document.querySelector('#overview h1')").get, "no overview"
    assert browser.run("return document.querySelectorAll('.stack rect').length") >= 2
    assert browser.run("return document.querySelectorAll('.histograms figure').length") >= 4, "measures are missing"
    assert browser.run("return document.querySelectorAll('.bars tr').length") >= 5
    assert browser.run("return document.querySelector('#h-failed') !== null"), "failures are missing"
    outside = browser.run("return performance.getEntriesByType('resource').map((e) => e.name).filter((n) => !n.startsWith('file:') && !n.startsWith('data:'))")
    assert not outside, f"the page asks for {outside}"


def check_sheet(browser):
    def count():
        return browser.run("return document.getElementById('found').textContent")

    browser.run("location.hash = '#/pictures'")
    browser.wait("return document.querySelectorAll('.cell').length > 3")
    browser.wait("return [...document.querySelectorAll('.cell img:not([hidden])')].slice(0, 4).every((i) => i.naturalWidth > 0)")
    everything = count()
    browser.keys("/")
    browser.wait("return document.activeElement.id === 'f-text'")
    browser.keys(*"mill")
    browser.wait("return document.getElementById('found').textContent !== arguments[0]", everything)
    assert browser.wait("return document.querySelectorAll('.cell').length") == 1, "the search finds more than the mill"
    browser.keys("escape")
    browser.run("document.getElementById('clear').click()")
    browser.run("const s = document.getElementById('f-status'); s.value = 'failed'; s.dispatchEvent(new Event('change'))")
    browser.wait("return document.querySelectorAll('.cell').length === 1")
    assert browser.run("return location.hash") == "#/pictures?status=failed"
    browser.run("document.getElementById('clear').click()")
    browser.run("const s = document.getElementById('f-sort'); s.value = 'title'; s.dispatchEvent(new Event('change'))")
    titles = browser.wait("const t = [...document.querySelectorAll('.cell')].sort((a, b) => a.place - b.place).map((c) => c.querySelector('.t').textContent); return t.length > 3 && t")
    assert browser.run("const t = arguments[0]; const o = new Intl.Collator(undefined, {numeric: true}).compare; return t.every((x, i) => !i || o(t[i - 1], x) <= 0)", titles), titles
    browser.run("document.getElementById('f-sort').value = ''; document.getElementById('f-sort').dispatchEvent(new Event('change'))")
    return everything


def check_picture(browser, data):
    """Slider by pointer and by keys, modes, zoom, provenance."""
    sheet, words = data["sheet"], data["sheet"]["words_of"]
    turned = next(i for i, file in enumerate(sheet["file"]) if "Marie" in file)
    browser.run("location.hash = '#/picture/' + arguments[0]", turned)
    browser.wait("return document.getElementById('stage').dataset.mode === 'slider' && document.querySelector('#l-before img').naturalWidth > 0 && document.querySelector('#l-after img').naturalWidth > 0")
    place = browser.run("const r = document.getElementById('divider').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]")

    def value():
        return int(browser.run("return document.getElementById('divider').getAttribute('aria-valuenow')"))

    before = value()
    browser.drag(place, [place[0] + 120, place[1]])
    assert value() > before + 5, f"the slider did not move: {before} to {value()}"
    moved = value()
    browser.keys("left", "left")
    assert value() == moved - 4, "the slider does not follow the arrow keys"
    # The letter was set straight; laid on each other by their sidecar, original and copy have the same frame.
    assert "matrix" in browser.run("return document.querySelector('#l-before img').style.transform")
    browser.run("document.activeElement.blur()")
    for key, mode in [("2", "side"), ("3", "before"), ("4", "after"), ("5", "difference"), ("1", "slider")]:
        browser.keys(key)
        assert browser.run("return document.getElementById('stage').dataset.mode") == mode, mode
    browser.keys("+")
    assert browser.run("return document.getElementById('zoom').textContent") != "Fit"
    browser.keys("0")
    assert browser.run("return document.getElementById('zoom').textContent") == "Fit"
    text = browser.run("return document.getElementById('p-body').textContent")
    for said in ["message digest calculation", "deskew", "SHA-256", "left it alone", "angle degrees"]:
        assert said in text, f"`{said}` is not told"


def check_review(browser, downloads, data):
    """Approves, rejects and notes by keys; what is saved says so."""
    sheet, words = data["sheet"], data["sheet"]["words_of"]
    browser.run("location.hash = '#/pictures'")
    browser.wait("return document.querySelectorAll('.cell').length > 3")
    made = [i for i in range(len(sheet["id"])) if sheet["versions"][i] == 1]
    browser.run("document.getElementById('advance').checked = false")
    hostile = next(i for i in made if sheet["file"][i].startswith("=1+1"))
    for index, key in [(made[0], "a"), (made[1], "r"), (hostile, "r")]:
        browser.run("location.hash = '#/picture/' + arguments[0]", index)
        browser.wait("return document.querySelector('#p-body h3') && document.getElementById('p-file').textContent === arguments[0]", sheet["file"][index])
        browser.wait("return document.querySelector('#p-body .twin').textContent.includes(arguments[0])", sheet["file"][index])
        browser.keys(key)
    browser.keys("n")
    browser.keys(*NOTE)
    browser.keys("escape")
    browser.keys("r")
    browser.keys("u")
    tally = browser.run("return document.getElementById('tally').textContent")
    assert tally == "1 approved, 2 rejected", tally
    # What was decided stays when the page is loaded again.
    browser.post("refresh")
    assert browser.wait("return document.getElementById('tally').textContent") == tally
    browser.keys("s")
    saved = downloads / "review.csv"
    for _ in range(100):
        if saved.exists():
            break
        time.sleep(0.05)
    rows = list(csv.DictReader(saved.open(newline="")))
    assert [row["decision"] for row in rows].count("reject") == 2, rows
    by_id = {row["objectid"]: row for row in rows}
    row = by_id[sheet["id"][hostile]]
    assert row["note"] == NOTE.replace("=", "'=", 1).replace(";@", ";'@"), row["note"]
    assert row["filename"].startswith("'=1+1"), row["filename"]
    assert row["decision"] == "reject" and len(row["sha256"]) == 64
    assert by_id[sheet["id"][made[0]]]["decision"] == "approve"
    return saved, [by_id[sheet["id"][i]]["derivative"] for i in (made[1], hostile)]


def follow(binary, archive, out, saved, rejected):
    """The next run sets aside what was rejected; without the review it comes back."""
    plain = [path[1:] if path.startswith("'") else path for path in rejected]
    shutil.copy(saved, out / "review.csv")
    fonds(binary, "run", "restore-photographs", archive, "--out", out)
    aside = [out / path.replace("derivatives/", "rejected/", 1) for path in plain]
    for path, there in zip(plain, aside):
        assert there.is_file() and Path(f"{there}.prov.json").is_file(), f"{there} is not set aside"
        assert not (out / path).exists(), f"{path} is still there"
    rows = list(csv.DictReader((out / "catalog.csv").open(newline="")))
    assert sum(row["review"] == "rejected" for row in rows) == 2, "the rows do not say so"
    assert sum(row["review"] == "approved" for row in rows) == 1
    assert [row["review_note"] for row in rows if row["review_note"]] == [NOTE]
    again = fonds(binary, "run", "restore-photographs", archive, "--out", out)
    assert "nothing to do" in again.stderr and not (out / plain[0]).exists(), again.stderr
    verified = subprocess.run([binary, "verify", str(out)], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    fonds(binary, "report", out)
    (out / "review.csv").unlink()
    fonds(binary, "run", "restore-photographs", archive, "--out", out)
    assert all((out / path).is_file() for path in plain) and not any(path.exists() for path in aside)


def check_many(browser, report, work, count):
    many = work / "many"
    enlarge(report, many, count)
    browser.screen(1440, 900)
    started = time.monotonic()
    browser.open(many / "index.html", "#/pictures")
    browser.wait("return document.querySelectorAll('.cell').length > 3", seconds=30)
    opened = time.monotonic() - started
    slow = scroll(browser, 120, 150)
    fast = scroll(browser, 9000, 60)
    assert slow["cells"] < 400 and fast["cells"] < 400, "cells that cannot be seen are in the document"
    assert fast["y"] > 100_000, "the sheet is not long enough"
    everything = browser.run("return document.getElementById('found').textContent")
    browser.keys("/")
    browser.wait("return document.activeElement.id === 'f-text'")
    began = time.monotonic()
    browser.keys(*"boat 199")
    browser.wait("return document.getElementById('found').textContent !== arguments[0]", everything)
    search = time.monotonic() - began
    # Bounds for busy machines without a graphics card; what is measured is printed.
    for name, found, bound in [("slow", slow, 100), ("fast", fast, 250)]:
        print(f"  {count} pictures, scrolled {name}: median {found['median']:.1f} ms a frame, "
              f"95 % {found['p95']:.1f} ms, worst {found['worst']:.1f} ms, at most {found['cells']} cells")
        assert found["median"] < bound, "scrolling is slow"
    print(f"  opened in {opened:.2f} s, searched in {search:.2f} s with typing")


def check_hostile(browser, data):
    """No name did anything but be shown."""
    assert browser.run("return document.title") != "owned"
    sheet = data["sheet"]
    for index, file in enumerate(sheet["file"]):
        if file.startswith("<script>") or "onerror" in file:
            browser.run("location.hash = '#/picture/' + arguments[0]", index)
            browser.wait("return document.getElementById('p-file').textContent === arguments[0]", file)
            browser.wait("return document.querySelector('#p-body .twin')")
    assert browser.run("return document.title").endswith("– report")
    assert not browser.run("return [...document.images].some((i) => i.getAttribute('src') === 'x')")


def check_accessible(browser, report, picture):
    """Whatever can be used has a name, each id is there once, and keys alone lead to a picture."""
    asked = {"button", "link", "textbox", "searchbox", "combobox", "slider", "checkbox", "option", "img", "image",
             "listbox", "dialog", "complementary", "navigation"}
    for fragment in ["#/", "#/pictures", f"#/picture/{picture}"]:
        browser.open(report / "index.html", fragment)
        browser.wait("return document.readyState === 'complete'")
        time.sleep(0.3)
        browser.devtools("Accessibility.enable")
        nodes = browser.devtools("Accessibility.getFullAXTree")["nodes"]
        nameless = [node["role"]["value"] for node in nodes if not node.get("ignored")
                    and node["role"]["value"] in asked and not node.get("name", {}).get("value")]
        assert not nameless, f"{fragment}: {nameless} without a name"
        twice = browser.run("const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.filter((id, i) => ids.indexOf(id) !== i)")
        assert not twice, f"{fragment}: {twice} twice"
    browser.run("location.hash = '#/pictures'")
    browser.wait("return document.querySelectorAll('.cell').length > 3")
    browser.run("document.getElementById('sheet').focus()")
    browser.keys("right", "right", "left", "down", "up", "enter")
    browser.wait("return location.hash === '#/picture/' + arguments[0] || location.hash.startsWith('#/picture/')", picture)
    assert browser.run("return document.activeElement.id") == "p-title", "the focus is lost"
    browser.keys("escape")
    browser.wait("return document.activeElement.id === 'sheet'")


def shots(browser, report, folder, picture):
    folder.mkdir(parents=True, exist_ok=True)
    views = [("overview", "#/"), ("sheet", "#/pictures"), ("picture", f"#/picture/{picture}")]
    for name, width, height, mobile, dark in [("desktop", 1440, 900, False, False), ("dark", 1440, 900, False, True),
                                              ("phone", 390, 844, True, False)]:
        browser.screen(width, height, mobile, dark)
        for view, fragment in views:
            browser.open(report / "index.html", fragment)
            time.sleep(0.7)
            browser.shot(folder / f"{name}-{view}.png")
        if name != "phone":
            browser.keys("5")
            time.sleep(0.4)
            browser.shot(folder / f"{name}-difference.png")
    browser.screen(1440, 2600)
    browser.open(report / "index.html")
    time.sleep(0.5)
    browser.shot(folder / "overview-long.png")
    browser.screen(1440, 900)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fonds", required=True, help="the program")
    parser.add_argument("--archive", type=Path, default=ROOT / "fixtures" / "archive",
                        help="pictures like those of the fixtures")
    parser.add_argument("--shots", type=Path, help="put screenshots here")
    parser.add_argument("--pictures", type=int, default=20_000)
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        print("skipped: chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
        return
    binary = str(Path(options.fonds).resolve())
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fonds-report-") as name:
        work = Path(name).resolve()
        downloads = work / "downloads"
        downloads.mkdir()
        archive, out = work / "archive", work / "out"
        make_archive(archive, options.archive)
        fonds(binary, "run", "restore-photographs", archive, "--out", out)
        fonds(binary, "report", out)
        report = out / "report"
        data = read_data(report)
        browser = Browser(chromium, driver, downloads)
        try:
            check_overview(browser, report)
            print("  overview:", check_sheet(browser))
            check_picture(browser, data)
            check_hostile(browser, data)
            check_accessible(browser, report, next(i for i, n in enumerate(data["sheet"]["versions"]) if n))
            saved, rejected = check_review(browser, downloads, data)
            check_many(browser, report, work, options.pictures)
            errors = browser.errors()
            assert not errors, errors
            if options.shots:
                turned = next(i for i, file in enumerate(data["sheet"]["file"]) if "Marie" in file)
                shots(browser, report, options.shots, turned)
        finally:
            browser.close()
        follow(binary, archive, out, saved, rejected)
    print(f"ok: the report works from the disk ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    sys.exit(main())
