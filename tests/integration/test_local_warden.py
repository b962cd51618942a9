"""The warden: nothing outlives its owner."""

import subprocess
import sys
import time
from pathlib import Path

import psutil

OWNER = """
import os, signal, subprocess, sys, time
from pathlib import Path
from decant_cloud.local.warden import Warden
warden = Warden()
warden.hold_folder(Path(sys.argv[1]))
group = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60"], start_new_session=True)
warden.hold(-group.pid)
frozen = subprocess.Popen(["sleep", "60"], start_new_session=True)
warden.hold(-frozen.pid)
frozen.send_signal(signal.SIGSTOP)
ended = subprocess.Popen(["sleep", "60"], start_new_session=True)
warden.hold(ended.pid, signal.SIGTERM)
free = subprocess.Popen(["sleep", "60"], start_new_session=True)
warden.hold(free.pid, signal.SIGINT)
warden.release(free.pid)
print(free.pid, group.pid, frozen.pid, ended.pid, flush=True)
time.sleep(60)
"""


def test_killed_owner_leaves_nothing_that_it_named(tmp_path: Path) -> None:
    """Processes, groups, frozen ones and folders go with an owner that is killed; what was released stays."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(scratch)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    free, *held = (psutil.Process(int(pid)) for pid in owner.stdout.readline().split())
    children = held[0].children()

    owner.kill()
    owner.wait()
    owner.stdout.close()

    try:
        _, alive = psutil.wait_procs([*held, *children], timeout=60)
        assert alive == []
        assert free.is_running()
        deadline = time.monotonic() + 60
        while scratch.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not scratch.exists()
    finally:
        free.kill()
