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
PAGE = ["index.html", "style.css", "icon.svg", "page.js", "result.js", "picture.js", "worker.js"]
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
        rows = []
        # The package's ONNX exports have other weights than its safetensors file: what onnxruntime-web finds is compared
        # with its own first result.
        truths = {"ours": truth, "theirs": None}
        for name, what, files in PROGRAMS:
            with Browser(*WEBGPU) as browser:
                version = browser.capabilities["browserVersion"]
                browser.go(f"{address}/bench.html")
                result = browser.run("return (await import('/bench.js')).measure(...arguments)", what, ROUNDS, truths[what[0]])
            assert result["error"] <= 1e-4, f"{name} is off by {result['error']}"
            truths[what[0]] = result.pop("truth")
            assert len(truths[what[0]]) == len(truth), f"{name} gives {len(truths[what[0]])} probabilities"
            print(name, result, flush=True)
            rows.append((name, kib(work, files), result))
        networks = [kib(work, [file]) for file in ("silero_vad_16k.safetensors", f"ort/{ONNX}")]
        (ROOT / "benches/record/web.md").write_text(record(rows, networks, version, len(truth) * 512 / 16000))


def record(rows, networks, version, seconds):
    table = "\n".join(
        f"| {name} | {size:,.0f} KiB | {r['loaded']:,.0f} ms | {r['whole']:,.0f} ms | {1000 * seconds / r['whole']:.0f} × "
        f"| {r['chunk']:.2f} ms | {r['error']:.0e} |" for name, size, r in rows)
    return f"""# The page of examples/web beside onnxruntime-web

`scripts/web --bench` makes this file. {datetime.date.today()}, Chromium {version}, WebGPU on SwiftShader, {os.cpu_count()} cores
of {processor()}, {platform.system()}; onnxruntime-web {ORT}, one thread each, each program in a browser of its own.

The work is the page's: a WAV file of {seconds:.0f} s to {seconds * 16000 / 512:,.0f} probabilities, 128 chunks at a time, median of
{ROUNDS} rounds after one that is not counted; and one chunk of 32 ms at a time, as a microphone gives them, median of {100 * ROUNDS}.
onnxruntime-web runs the package's own ONNX export for sequences (`{ONNX}`) on the same frames: the same
network with other weights than the safetensors file has. So the page's probabilities are compared with the truth, and
onnxruntime-web's with its own first result: one chunk at a time with 128, WebGPU with wasm.

| program | download, gzipped | loading | the recording | × real time | one chunk | worst difference |
|---|---|---|---|---|---|---|
{table}

The download is all that a visitor's browser fetches but the network, which is {networks[0]:,.0f} KiB gzipped for the page and
{networks[1]:,.0f} KiB as ONNX. Loading is from the import of the program to a network that is ready, from this machine's own
disk; on WebGPU it compiles the kernels.
"""


def processor():
    names = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
