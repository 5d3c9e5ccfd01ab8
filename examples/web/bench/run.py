"""The page's size and speed beside onnxruntime-web's, in the same browser: makes benches/record/web.md.

    scripts/web --bench

It needs npm for onnxruntime-web, and pip for the same network as ONNX, of the Python package silero-vad.
"""

import datetime
import gzip
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "test"))
from browser import WEBGPU, Browser, serve  # noqa: E402

ROOT = HERE.parents[2]
ORT = "1.30.0"
SILERO = "6.2.3"
ONNX = "silero_vad_16k_sequence.onnx"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "wgpu-lstm"
ROUNDS = 3
PASSES = 2
PAGE = ["index.html", "style.css", "icon.svg", "page.js", "result.js", "picture.js", "worker.js"]
# onnxruntime-web's WebGPU takes a second for a second of sound on a software adapter: it gets less of it.
SHORT = {"seconds": 20, "rounds": 1, "count": 20}
ALL = {"seconds": None, "rounds": ROUNDS, "count": 100}
PROGRAMS = [  # name, what bench.js measures, what is downloaded for it
    ("the page, CPU", ("ours", "simd", "Cpu"), [*PAGE, "simd/speech_page.js", "simd/speech_page_bg.wasm"]),
    ("the page, CPU without SIMD", ("ours", "plain", "Cpu"), [*PAGE, "plain/speech_page.js", "plain/speech_page_bg.wasm"]),
    ("onnxruntime-web, wasm", ("theirs", "wasm", 1),
     ["ort/ort.wasm.min.mjs", "ort/ort-wasm-simd-threaded.mjs", "ort/ort-wasm-simd-threaded.wasm"]),
    ("the page, WebGPU", ("ours", "simd", "WebGpu"), [*PAGE, "simd/speech_page.js", "simd/speech_page_bg.wasm"]),
    ("onnxruntime-web, WebGPU", ("theirs", "webgpu", 1),
     ["ort/ort.webgpu.min.mjs", "ort/ort-wasm-simd-threaded.asyncify.mjs", "ort/ort-wasm-simd-threaded.asyncify.wasm"]),
]


def fetch(folder):
    """onnxruntime-web and the network as ONNX, from the user's cache or their registries."""
    peer = CACHE / f"onnxruntime-web-{ORT}"
    if not peer.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            subprocess.run(["npm", "pack", "--silent", f"onnxruntime-web@{ORT}"], cwd=work, check=True, stdout=subprocess.DEVNULL)
            with tarfile.open(next(pathlib.Path(work).glob("*.tgz"))) as package:
                package.extractall(work, filter="data")
            os.rename(pathlib.Path(work, "package/dist"), peer)
    shutil.copytree(peer, folder)
    network = CACHE / "silero-vad" / ONNX
    if not network.exists():
        network.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work, f"silero-vad=={SILERO}"],
                           check=True)
            shutil.unpack_archive(next(pathlib.Path(work).glob("*.whl")), work, "zip")
            shutil.copy(next(pathlib.Path(work).rglob(ONNX)), network)
    shutil.copy(network, folder)


def kib(site, files):
    return sum(len(gzip.compress((site / file).read_bytes(), 9)) for file in files) / 1024


def main(site):
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder, "site")
        shutil.copytree(site, work)
        fetch(work / "ort")
        for file in ("bench.html", "bench.js"):
            shutil.copy(HERE / file, work)
        truth = json.loads((ROOT / "tests/data/speech/aepyx_probabilities.json").read_text())
        address, _ = serve(work)
        # The package's ONNX exports have other weights than its safetensors file: what onnxruntime-web finds is compared
        # with its own first result.
        truths = {"ours": truth, "theirs": None}
        best = {}
        for _ in range(PASSES):  # in turn, since other work on this machine comes and goes
            for name, what, _ in PROGRAMS:
                much = SHORT if what[:2] == ("theirs", "webgpu") else ALL
                with Browser(*WEBGPU) as browser:
                    version = browser.capabilities["browserVersion"]
                    browser.go(f"{address}/bench.html")
                    result = browser.run("return (await import('/bench.js')).measure(...arguments)", what, much["rounds"],
                                         truths[what[0]], much["seconds"], much["count"])
                peer_may_be_wrong = what[:2] == ("theirs", "webgpu")  # then the record says so
                assert result["error"] <= 1e-4 or peer_may_be_wrong, f"{name} is off by {result['error']}"
                truths[what[0]] = truths[what[0]] or result["truth"]
                assert len(truths[what[0]]) == len(truth), f"{name} gives {len(truths[what[0]])} probabilities"
                del result["truth"]
                print(name, result, flush=True)
                before = best.setdefault(name, result)
                best[name] = {key: value if key == "name" else max(value, before[key]) if key == "error"
                              else min(value, before[key]) for key, value in result.items()}
        rows = [(name, kib(work, files), best[name]) for name, _, files in PROGRAMS]
        networks = [kib(work, [file]) for file in ("silero_vad_16k.safetensors", f"ort/{ONNX}")]
        (ROOT / "benches/record/web.md").write_text(record(rows, networks, version))


def record(rows, networks, version):
    table = "\n".join(
        f"| {name} | {size:,.0f} KiB | {r['loaded'] / 1000:.2f} s | {r['factor']:.4f} | {1 / r['factor']:.0f} × | {r['chunk']:.2f} ms "
        f"| {r['error']:.0e} |" for name, size, r in rows)
    return f"""# The page of examples/web beside onnxruntime-web

`scripts/web --bench` makes this file. {datetime.date.today()}, Chromium {version}, WebGPU on SwiftShader, {os.cpu_count()} cores
of {processor()}, {platform.system()}; onnxruntime-web {ORT}, one thread each, each program in a browser of its own.

The work is the page's: a WAV file of 169 s to 5,286 probabilities, 128 chunks at a time; and 100 chunks of 32 ms one at a
time, as a microphone gives them (their mean). Times are the fastest of {PASSES} × {ROUNDS} rounds, the programs in turn; a first round
of each is not counted. onnxruntime-web on WebGPU gets the first {SHORT["seconds"]} s, {SHORT["count"]} chunks and {PASSES} × {SHORT["rounds"]} rounds.

| program | download, gzipped | loading | real-time factor | × real time | one chunk | worst difference |
|---|---|---|---|---|---|---|
{table}

onnxruntime-web runs the package's own ONNX export for sequences (`{ONNX}`) on the same frames: the same
network with other weights than the safetensors file has. So the page's probabilities are compared with the truth, and
onnxruntime-web's with what its wasm found first: one chunk at a time, and WebGPU. {verdict(rows)}

The download is all that a visitor's browser fetches but the network, which is {networks[0]:,.0f} KiB gzipped for the page and
{networks[1]:,.0f} KiB as ONNX. Loading is from the import of the program to a network that is ready, from a server on the same
machine; on WebGPU it compiles the kernels.
"""


def verdict(rows):
    wrong = [name for name, _, r in rows if r["error"] > 1e-4]
    return f"Off by more than 1e-4, so wrong on this adapter: {', '.join(wrong)}." if wrong else "All agree."


def processor():
    names = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that browsers are closed
    main(pathlib.Path(sys.argv[1]))
