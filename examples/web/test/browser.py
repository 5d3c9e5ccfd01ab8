"""Chromium, driven through chromedriver, and a server of the page's folder: what page.py needs of both."""

import base64
import functools
import http.server
import json
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

FLAGS = ["--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def serve(folder, **more):
    """Serves a folder on a free port, and more files by name; returns its address and the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

        def translate_path(self, path):
            return str(more.get(path.lstrip("/").split(".")[0]) or super().translate_path(path))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", asked


class Browser:
    """A window of Chromium, closed with the `with` that opened it."""

    def __init__(self, *flags, phone=False):
        self.downloads = tempfile.mkdtemp()
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = next(line for line in self.driver.stdout if "started successfully on port" in line)
        self.url = "http://127.0.0.1:" + line.split("port ")[1].strip(" .\n")
        options = {"args": [*FLAGS, *flags], "prefs": {"download.default_directory": self.downloads}}
        if phone:
            metrics = {"width": 390, "height": 844, "pixelRatio": 2, "touch": True}
            options["mobileEmulation"] = {"deviceMetrics": metrics}
        else:
            options["args"].append("--window-size=1280,960")
        always = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
                  "timeouts": {"script": 300_000}}
        try:
            session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": always}})
            self.session, self.capabilities = session["sessionId"], session["capabilities"]
        except BaseException:
            self.driver.terminate()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.send("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.downloads, ignore_errors=True)

    def call(self, method, path, body=None):
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=320) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {json.load(error)['value']['message']}") from None

    def send(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def go(self, url):
        self.send("POST", "/url", {"url": url})

    def find(self, selector):
        return self.send("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.send("POST", f"/element/{self.find(selector)}/click")

    def upload(self, selector, path):
        self.send("POST", f"/element/{self.find(selector)}/value", {"text": str(path)})

    def label_and_role(self, selector):
        element = self.find(selector)
        return tuple(self.send("GET", f"/element/{element}/computed{what}") for what in ("label", "role"))

    def run(self, script, *args):
        """The body of an async function, the arguments in `arguments`."""
        script = f"return (async function () {{ {script}\n}}).apply(null, arguments)"
        return self.send("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def press(self, *keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def cdp(self, command, **params):
        return self.send("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def scheme(self, name):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def console(self):
        """What was written since the last time, by the page or its worker."""
        return [entry["message"] for entry in self.send("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path, last, scale):
        """The page from its top down to an element."""
        width, height = self.run("""return [document.documentElement.clientWidth,
            document.querySelector(arguments[0]).getBoundingClientRect().top + scrollY + 130]""", last)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def wait(self, what, condition, seconds=100):
        """Waits until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(f"return {condition}")):
            if time.monotonic() > end:
                state = self.run("return [error.textContent, document.getElementById('status').textContent]")
                raise AssertionError(f"{what} does not happen; the page says {state}, the console {self.console()}")
            time.sleep(0.1)
        return value
