"""Runs a command that starts Chromium, and fails if the peak of its GPU process is beyond a bound.

    gpu_memory.py MIB COMMAND...

The crate's own counts see which buffers are destroyed; this sees whether the browser frees them. Linux only.
"""

import pathlib
import subprocess
import sys
import time


def parent(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def descends(pid, ancestor):
    while pid > 1 and pid != ancestor:
        pid = parent(pid)
    return pid == ancestor


def peaks(ancestor):
    """MiB that each GPU process had resident at most until now, by its id."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=gpu-process" in (process / "cmdline").read_bytes() and descends(int(process.name), ancestor):
                status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
                found[process.name] = int(status["VmHWM"].split()[0]) / 1024
        except (FileNotFoundError, ProcessLookupError, KeyError):  # it ended meanwhile
            pass
    return found


bound = float(sys.argv[1])
command = subprocess.Popen(sys.argv[2:])
most = {}
while command.poll() is None:
    most.update(peaks(command.pid))
    time.sleep(0.05)
if not most:
    sys.exit("no GPU process of Chromium was seen")
print(f"Chromium's GPU process: at most {max(most.values()):.0f} MiB, of {bound:.0f} that are allowed")
sys.exit(command.returncode or max(most.values()) > bound)
