"""Lets this interpreter import PyPI's PyTorch for Linux without CUDA's libraries: without_cuda.py

That wheel is linked with CUDA, and PyPI has none for the CPU alone. Its CPU code calls nothing of CUDA, but the
dynamic loader looks for every library and symbol. This writes small libraries of those names beside PyTorch's own;
their functions abort. The CUDA runtime is the real one, as PyTorch calls it while it is loaded. Needs cc, nm, objdump.
"""

import importlib.util
import pathlib
import re
import subprocess
import sys

RUNTIME = "libcudart.so"
LIBRARY = re.compile(r"NEEDED\s+(lib(?:cu|nccl|nv)\S+)")
# an undefined symbol, and the version that names its library, which some libraries of CUDA have
SYMBOL = re.compile(r"U (\w+)(?:@(\S+))?$", re.MULTILINE)
VERSION = re.compile(r"lib(cu|nccl|nv)|NVSHMEM")
NAME = re.compile(r"(cu[A-Za-z]|nccl|nvml|nvrtc|nvshmem)\w*")


def output_of(*command: object) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def imports() -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, text=True)


def missing(files: list[pathlib.Path]) -> tuple[list[str], list[str]]:
    """CUDA's libraries and symbols that these files need."""
    libraries, symbols = set(), set()
    for file in files:
        libraries.update(LIBRARY.findall(output_of("objdump", "-p", file)))
        for name, version in SYMBOL.findall(output_of("nm", "-D", "--undefined-only", file)):
            cuda = VERSION.match(version) if version else NAME.fullmatch(name)
            if cuda and not version.startswith(RUNTIME) and not name.startswith("cuda"):
                symbols.add(name)
    there = {file.name for file in files}
    return sorted(name for name in libraries - there if not name.startswith(RUNTIME)), sorted(symbols)


def main() -> None:
    if imports().returncode == 0:
        return
    torch = pathlib.Path(importlib.util.find_spec("torch").origin).parent
    libraries, symbols = missing([*torch.glob("lib/*.so*"), *torch.glob("_C*.so")])
    source = "void abort(void);\n" + "".join(f"void {name}(void) {{ abort(); }}\n" for name in symbols)
    for library in libraries:
        # the first has every symbol: the loader searches all of them
        subprocess.run(
            ["cc", "-w", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", torch / "lib" / library, "-xc", "-"],
            input=source, text=True, check=True)
        source = ""
    again = imports()
    if again.returncode:
        sys.exit(f"PyTorch cannot be imported without CUDA:\n{again.stderr}")


main()
