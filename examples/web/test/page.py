"""Drives the page in Chromium: what a visitor sees, with and without WebGPU, on a desktop and on a phone.

    scripts/web --test [NAME…]      all tests, or those of these names
    … page.py SITE --screenshots    writes docs/web-light.png and docs/web-dark.png instead
"""

import json
import math
import pathlib
import signal
import sys
import tempfile
import time

import sounds
from browser import WEBGPU, Browser, serve

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
TOLERANCE = 1e-4  # of a probability, as examples/speech/probabilities.rs derives it
RECORDING_SEGMENTS = 36  # with the first and the last, as a test of examples/speech/segments.rs has them
FIRST, LAST = {"start": 39_456, "end": 135_136}, {"start": 2_654_752, "end": 2_691_552}
DONE = "/^Done/.test(document.getElementById('status').textContent)"
READY = "/^Ready/.test(document.getElementById('status').textContent)"


class Page:
    """The page in a browser, and what it must never do: write to the console, or ask for what is not its own."""

    def __init__(self, browser, host="127.0.0.1"):
        self.browser = browser
        browser.go(SITE.replace("127.0.0.1", host))
        browser.wait("ready", READY)

    def choose(self, device):
        self.browser.click(f"input[value={device}]")

    def open(self, path):
        self.browser.upload("#file", path)

    def finish(self):
        self.browser.wait("an end", DONE)

    def saved(self):
        """What *Save as JSON* saves."""
        for old in pathlib.Path(self.browser.downloads).iterdir():
            old.unlink()
        self.browser.click("#save")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            files = list(pathlib.Path(self.browser.downloads).glob("*.json"))
            if files:
                return json.loads(files[0].read_text())
            time.sleep(0.05)
        raise AssertionError("nothing was saved")

    def error(self):
        return self.browser.run("return error.hidden ? '' : error.textContent")

    def quiet(self, *allowed):
        messages = [m for m in self.browser.console() if not any(a in m for a in allowed)]
        assert not messages, f"the console has {messages}"
        foreign = self.browser.run(
            "return performance.getEntriesByType('resource').map((r) => r.name).filter((n) => !n.startsWith(location.origin))")
        assert not foreign, f"the page loaded {foreign}"


def same(probabilities, truth):
    truth = json.loads((ROOT / truth).read_text())
    assert len(probabilities) == len(truth) > 0, f"{len(probabilities)} probabilities, and not {len(truth)}"
    worst = max(math.inf if math.isnan(p) else abs(p - t) for p, t in zip(probabilities, truth))
    assert worst <= TOLERANCE, f"off by {worst:.1e}"
    return worst


def is_the_recording(saved, device):
    worst = same(saved["probabilities"], "tests/data/speech/aepyx_probabilities.json")
    segments = saved["segments"]
    assert (len(segments), segments[0], segments[-1]) == (RECORDING_SEGMENTS, FIRST, LAST), segments
    assert device in saved["device"], saved["device"]
    return worst


def recording_on_each_device():
    with Browser(*WEBGPU) as browser:
        page = Page(browser)
        assert browser.run("return document.documentElement.dataset.build") == "simd128"
        assert "swiftshader" in browser.text("#about-webgpu"), browser.text("#about-webgpu")
        page.open(RECORDING)
        # it grows while it is computed, and the page stays responsive
        seen = browser.run("""
            const seen = [];
            while (!/^Done/.test(document.getElementById('status').textContent)) {
              seen.push(document.querySelectorAll('#segments li').length);
              await new Promise(requestAnimationFrame);
            }
            return seen;""")
        assert len(set(seen)) > 3, f"the segments appeared as {sorted(set(seen))}"
        print(f"  CPU: worst difference {is_the_recording(page.saved(), 'CPU'):.1e}, {browser.text('#speed')}")
        assert browser.run("return document.querySelectorAll('#segments li').length") == RECORDING_SEGMENTS
        assert browser.text("#status").startswith("Done: 36 segments of speech"), browser.text("#status")
        # the switch computes it anew on the other device
        page.choose("webgpu")
        browser.wait("WebGPU", "/swiftshader/.test(device.textContent)")
        page.finish()
        print(f"  WebGPU: worst difference {is_the_recording(page.saved(), 'swiftshader'):.1e}, {browser.text('#speed')}")
        assert "swiftshader" in browser.text("#device")
        page.quiet()


def build_without_simd():
    with Browser() as browser:
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", source="WebAssembly.validate = () => false")
        page = Page(browser)
        assert browser.run("return document.documentElement.dataset.build") == "plain"
        browser.click("#example")
        page.finish()
        is_the_recording(page.saved(), "CPU")
        loaded = browser.run("return performance.getEntriesByType('resource').map((r) => r.name).join()")
        assert any("/plain/" in path for path in ASKED) and "/simd/" not in loaded
        page.quiet("No available adapters.")


def second_file_at_another_rate():
    with Browser(*WEBGPU) as browser, tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "second.wav")
        sounds.second(RECORDING, path)
        page = Page(browser)
        # it replaces one that is being computed, and nothing of that one is left
        page.open(RECORDING)
        browser.wait("a beginning", "document.querySelectorAll('#segments li').length > 0")
        page.open(path)
        page.finish()
        saved = page.saved()
        same(saved["probabilities"], HERE.relative_to(ROOT) / "second.json")
        assert saved["source"] == "44.1 kHz stereo, 16 bit", saved["source"]
        assert "0:12.0" in browser.text("#source"), browser.text("#source")
        assert browser.run("return document.querySelectorAll('#segments li').length") == len(saved["segments"])
        page.choose("webgpu")
        browser.wait("WebGPU", "/swiftshader/.test(device.textContent)")
        page.finish()
        same(page.saved()["probabilities"], HERE.relative_to(ROOT) / "second.json")
        page.quiet()


def files_that_are_no_audio():
    with Browser() as browser, tempfile.TemporaryDirectory() as folder:
        page = Page(browser)
        cases = {
            "notes.txt": (b"Nobody speaks here.\n" * 100, "no audio that this browser can read"),
            "empty.wav": (b"", "no audio that this browser can read"),
            "header.wav": (b"RIFF\x04\0\0\0WAVE", "not a WAV file"),
            "short.wav": (RECORDING.read_bytes()[:100_001], "end too early"),
            "silent.wav": (RECORDING.read_bytes()[:40] + bytes(4), "no samples"),
        }
        for name, (contents, reason) in cases.items():
            path = pathlib.Path(folder, name)
            path.write_bytes(contents)
            page.open(path)
            said = browser.wait(name, f"!error.hidden && error.textContent.includes('{name}') && error.textContent")
            assert reason in said, said
        # and the page goes on
        browser.run("""
            const answer = await fetch('aepyx.wav');
            const data = new DataTransfer();
            data.items.add(new File([await answer.blob()], 'dropped.wav'));
            document.querySelector('h1').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));""")
        page.finish()
        assert page.error() == ""
        saved = page.saved()
        is_the_recording(saved, "CPU")
        assert saved["name"] == "dropped.wav"
        page.quiet("No available adapters.")


def no_webgpu():
    # A page that is neither from https nor from localhost gets no WebGPU; nor a microphone.
    with Browser("--host-resolver-rules=MAP page.test 127.0.0.1") as browser:
        page = Page(browser, "page.test")
        runs_on_the_cpu(page, "This browser has no WebGPU for this page")
        browser.click("#listen")
        said = browser.wait("an answer", "!error.hidden && error.textContent")
        assert "https or localhost only" in said, said
        page.quiet("was loaded over an insecure connection")  # what the browser says of the file that is saved
    with Browser() as browser:
        page = Page(browser)
        runs_on_the_cpu(page, "no adapter for it here")
        page.quiet("No available adapters.")  # the browser's own words


def runs_on_the_cpu(page, reason):
    about = page.browser.text("#about-webgpu")
    assert reason in about and "The CPU computes everything" in about, about
    assert page.browser.run("return document.querySelector('input[value=webgpu]').disabled")
    page.open(RECORDING)
    page.finish()
    is_the_recording(page.saved(), "CPU")


def microphone():
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={RECORDING}"]
    with Browser(*WEBGPU, *fake) as browser:
        page = Page(browser)
        for device, name in [("cpu", "CPU"), ("webgpu", "swiftshader")]:
            page.choose(device)
            browser.click("#listen")
            browser.wait(f"the {name}", f"device.textContent.includes('{name}') && /^Listening/.test(document.getElementById('status').textContent)")
            # the recording's first words begin after 2.5 s and last 6 s
            browser.wait("speech", "parseFloat(document.querySelector('#segments li span:last-child')?.textContent) > 2")
            assert browser.text("#listen") == "Stop" and name in browser.text("#device"), browser.text("#device")
            latency, about = browser.text("#latency"), browser.text("#about-latency")
            assert latency.endswith(" ms") and "median" in about, (latency, about)
            print(f"  {name}: latency {latency}, {browser.text('#speed')}")
            browser.click("#listen")
            browser.wait("a stop", "/^Stopped: \\d+ segment/.test(document.getElementById('status').textContent)")
            assert browser.text("#listen") == "Listen", browser.text("#listen")
            saved = page.saved()
            assert max(saved["probabilities"]) > 0.9 and saved["name"] == "Microphone", saved
        page.quiet()
    with Browser("--deny-permission-prompts") as browser:
        page = Page(browser)
        browser.click("#listen")
        said = browser.wait("an answer", "!error.hidden && error.textContent")
        assert said.startswith("Microphone cannot be used: "), said
        assert browser.text("#listen") == "Listen"
        page.quiet("No available adapters.")


def phone():
    with Browser(*WEBGPU, phone=True) as browser:
        page = Page(browser)
        browser.click("#example")
        page.finish()
        assert browser.run("return innerWidth") == 390
        wide = browser.run("""
            return [...document.querySelectorAll('body *')].filter((e) => e.getClientRects().length
              && !e.classList.contains('visually-hidden') && e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML)""")
        assert not wide and browser.run("return document.documentElement.scrollWidth") <= 390, wide
        small = browser.run("""
            return [...document.querySelectorAll('.button')].filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.id)""")
        assert not small, f"too small for a finger: {small}"
        is_the_recording(page.saved(), "CPU")
        page.quiet()


def keyboard_and_screen_reader():
    with Browser(*WEBGPU) as browser:
        page = Page(browser)
        expected = {
            "#file": ("Open an audio file", "button"),
            "#listen": ("Listen", "button"),
            "#example": ("Open the example", "button"),
            "#devices": ("Run the LSTM on", "group"),
            "input[value=webgpu]": ("WebGPU", "radio"),
            "input[value=cpu]": ("CPU", "radio"),
        }
        assert {s: browser.label_and_role(s) for s in expected} == expected
        assert browser.label_and_role("#status")[1] == "status" and browser.label_and_role("#error")[1] in ("alert", "none")
        order = []
        for _ in range(4):
            browser.press("\ue004")  # Tab
            order.append(browser.run("return document.activeElement.id || document.activeElement.value"))
            outline = browser.run("""const e = document.activeElement;
                return getComputedStyle(e.id === 'file' ? e.nextElementSibling : e).outlineStyle""")
            assert outline == "solid", f"{order[-1]} does not show that it has the focus"
        assert order == ["file", "listen", "example", "cpu"], order
        browser.run("example.focus()")
        browser.press("\ue007")  # Enter
        page.finish()
        label, role = browser.label_and_role("#picture")
        assert role in ("image", "img") and "36 segments of speech" in label, (label, role)
        assert browser.label_and_role("#segments") == ("Segments of speech", "list")
        browser.press("\ue004", "\ue012")  # the radios, and the arrow to WebGPU
        browser.wait("WebGPU", "document.querySelector('input[value=webgpu]').checked && /swiftshader/.test(device.textContent)")
        page.finish()
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            assert not (pale := browser.run(CONTRAST)), f"{scheme}: {pale}"
        page.quiet()


# Texts that stand out from their background by less than WCAG's 4.5 : 1.
CONTRAST = """
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => channels(color).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
    const behind = (e) => { const color = getComputedStyle(e).backgroundColor;
      return channels(color)[3] === 0 && e.parentElement ? behind(e.parentElement) : color; };
    error.hidden = false; error.textContent = 'wrong';
    const pale = [];
    let looked = 0;
    for (const e of document.querySelectorAll('body *')) {
      if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
      if (e.matches(':disabled, :disabled *')) continue;
      looked += 1;
      const [a, b] = [getComputedStyle(e).color, behind(e)].map(luminance).sort((x, y) => y - x);
      if ((a + 0.05) / (b + 0.05) < 4.5) pale.push(e.outerHTML + ' ' + (a + 0.05) / (b + 0.05));
    }
    error.hidden = true;
    return looked > 30 ? pale : ['only ' + looked + ' texts were looked at'];"""


def the_tests_see_the_console():
    """A message of the page, of a worker, and an error that nobody catches: each must be seen."""
    with Browser(*WEBGPU) as browser:
        Page(browser)
        browser.run("console.warn('a warning'); setTimeout(() => { throw new Error('an error'); })")
        browser.run("const w = new Worker('shout.js'); await new Promise((resolve) => { w.onmessage = resolve; })")
        time.sleep(0.5)
        messages = " ".join(browser.console())
        for word in ("a warning", "an error", "from a worker"):
            assert word in messages, f"{word} is not in {messages}"


def screenshots():
    with Browser(*WEBGPU) as browser:
        page = Page(browser)
        browser.run("example.click()")
        page.finish()
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            time.sleep(0.5)
            browser.screenshot(ROOT / f"docs/web-{scheme}.png", "#segments", scale=0.7)


TESTS = [the_tests_see_the_console, recording_on_each_device, build_without_simd, second_file_at_another_rate,
         files_that_are_no_audio, no_webgpu, microphone, phone, keyboard_and_screen_reader]

if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    RECORDING = (folder / "aepyx.wav").resolve()
    SITE, ASKED = serve(folder, shout=HERE / "shout.js")
    if sys.argv[2:] == ["--screenshots"]:
        sys.exit(screenshots())
    names = sys.argv[2:]
    unknown = set(names) - {test.__name__ for test in TESTS}
    assert not unknown, f"there is no test {unknown}; there are {[test.__name__ for test in TESTS]}"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)) # so that browsers are closed
    failures = 0
    for test in TESTS:
        if names and test.__name__ not in names:
            continue
        begun = time.monotonic()
        try:
            test()
            print(f"ok      {test.__name__} ({time.monotonic() - begun:.0f} s)", flush=True)
        except (AssertionError, RuntimeError) as problem:
            failures += 1
            print(f"FAILED  {test.__name__}: {problem}", flush=True)
    sys.exit(failures > 0)
