#!/usr/bin/env python3
"""What the live picture costs the model: frames analysed per second, and how old they are, with nobody and with watchers.

    live_picture_cost.py --belvedere target/release/belvedere [--watchers 4] [--cameras 3] [--rounds 8] [--seconds 10]

One daemon with the bundled model watches the demonstration's film with several cameras, as fast as the model can. Times with and without
watchers alternate within the run, so that whatever else the machine does meets both. A watcher asks as the page does: one
request at a time for the newest picture. The first seconds of each time are not counted.
"""

import argparse
import json
import re
import statistics
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

FILM = Path(__file__).resolve().parent.parent / "models" / "tiny" / "demo.mp4"
CONFIG = """
[mqtt]
url = "embedded"
listen = "127.0.0.1:0"
outbox = false

[http]
listen = "127.0.0.1:0"
"""
CAMERA = """
[[camera]]
name = "{name}"
url = "file://{film}"
at_end = "loop"
fps = 60
tasks = ["caption", "object-detection"]
"""
SETTLING_S = 2.0


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def watch(page, cameras, ended, pictures):
    """Takes pictures of all cameras until `ended`, as the page does."""
    seen = {name: "" for name in cameras}
    while not ended.is_set():
        answer = get(f"{page}api/pictures?cameras={','.join(name + frame for name, frame in seen.items())}")
        at = 0
        while at + 8 <= len(answer):
            json_bytes, jpeg_bytes = struct.unpack_from(">II", answer, at)
            sight = json.loads(answer[at + 8:at + 8 + json_bytes])
            seen[sight["camera"]] = f":{sight['frame_id']}"
            pictures.append(jpeg_bytes)
            at += 8 + json_bytes + jpeg_bytes


def counters(page):
    """Frames analysed, the sum of their ages in seconds, and when."""
    text = get(f"{page}metrics").decode()

    def value(series):
        return sum(float(found) for found in re.findall(rf"^{series}{{camera=.*}} (\S+)$", text, re.MULTILINE))

    age = "belvedere_frame_age_seconds"
    return value("belvedere_frames_analysed_total"), value(f"{age}_sum"), value(f"{age}_count"), time.monotonic()


def measure(page, cameras, watchers, seconds):
    """Frames per second, their mean age in ms, and pictures that a watcher got per second."""
    ended, pictures = threading.Event(), []
    threads = [threading.Thread(target=watch, args=(page, cameras, ended, pictures)) for _ in range(watchers)]
    for thread in threads:
        thread.start()
    time.sleep(SETTLING_S)
    before, seen = counters(page), len(pictures)
    time.sleep(seconds)
    after, seen = counters(page), len(pictures) - seen
    ended.set()
    for thread in threads:
        thread.join()
    frames, ages, told, passed = (b - a for a, b in zip(before, after))
    return frames / passed, 1000 * ages / max(told, 1), seen / passed / max(watchers, 1)


def row(name, values):
    return f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} to {max(values):.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--belvedere", required=True)
    parser.add_argument("--watchers", type=int, default=4)
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "belvedere.toml"
        cameras = [f"garden{number}" for number in range(options.cameras)]
        config.write_text(CONFIG + "".join(CAMERA.format(name=name, film=FILM) for name in cameras))
        daemon = subprocess.Popen(
            [options.belvedere, "run", "--config", config], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        try:
            page = next(found.group(1) for line in daemon.stderr if (found := re.search(r"page=(http://\S+)", line)))
            threading.Thread(target=lambda: [None for _ in daemon.stderr], daemon=True).start()
            while '"status":"ok"' not in health(page):
                time.sleep(0.5)
            measure(page, cameras, 0, options.seconds)  # what comes first is slower
            alone, watched = [], []
            for _ in range(options.rounds):
                alone.append(measure(page, cameras, 0, options.seconds))
                watched.append(measure(page, cameras, options.watchers, options.seconds))
        finally:
            daemon.terminate()
            daemon.wait()
    print(f"{options.cameras} cameras; {options.rounds} times {options.seconds:g} s each, in turn\n")
    print("| | median | lowest to highest |\n|---|---|---|")
    for place, what in enumerate(["frames analysed per second", "their age in ms"]):
        print(row(f"{what}, nobody looks", [values[place] for values in alone]))
        print(row(f"{what}, {options.watchers} look", [values[place] for values in watched]))
        print(row("ratio, time by time", [b[place] / a[place] for a, b in zip(alone, watched)]))
    print(row("pictures per second and watcher", [values[2] for values in watched]))


def health(page):
    try:
        return get(f"{page}readyz").decode()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
