"""The copyright file of the package: Belvedere's licence and those of the crates that are compiled into it.

licences.py [--texts FILE]    the copyright file on standard output; the crates' own licence texts into FILE
licences.py --check           only says whether each crate has a licence that may be taken and comes from the one
                              registry; 1 where one does not

Needs cargo and nothing else. What may be taken is the list in deny.toml.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def crates():
    """What is linked into the binary on this machine: its normal dependencies, without tests and build scripts."""
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "--package", "belvedere", "--edges", "normal", "--prefix", "none", "--format", "{p}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    linked = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout)
    found = [package for package in metadata["packages"] if (package["name"], "v" + package["version"]) in linked]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def locked_sources():
    """Where any of the locked crates comes from, tests' and other systems' too; those of the workspace have no source."""
    return sorted(set(re.findall(r'^source = "(.*)"$', (ROOT / "Cargo.lock").read_text(), re.M)))


def is_allowed(expression, allowed):
    """Whether one of the alternatives of an SPDX expression consists of allowed licences only."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        good = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            good = both() or good
        return good

    def both():
        good = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            good = one() and good
        return good

    def one():
        token = tokens.pop(0)
        if token == "(":
            good = either()
            tokens.pop(0)
            return good
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token += " WITH " + tokens.pop(0)
        return token in allowed

    return either()


def texts(package):
    """The licence files of a crate."""
    folder = Path(package["manifest_path"]).parent
    names = re.compile(r"(licen[cs]e|copying|notice|unlicense)", re.IGNORECASE)
    return sorted(path for path in folder.iterdir() if path.is_file() and names.match(path.name))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    others = [package for package in crates() if package["source"]]
    allowed = set(re.findall(r'"([^"]+)"', re.search(r"^allow = \[(.*?)^\]", (ROOT / "deny.toml").read_text(), re.M | re.S)[1]))
    refused = []
    for package in others:
        package["expression"] = package["license"] or "unknown"
        if not is_allowed(package["expression"], allowed):
            refused.append(f"{package['name']} {package['version']}: {package['expression']}")
    if refused:
        sys.exit("licences that deny.toml does not allow:\n" + "\n".join(refused))
    # One registry, cargo's own: nothing from a repository, and nothing from a second one.
    sources = sorted(set(locked_sources()))
    if len(sources) > 1 or not all(source.startswith("registry+") for source in sources):
        sys.exit("not everything is from one registry:\n" + "\n".join(sources))
    if options.check:
        print(f"{len(others)} crates, all from the registry, all with licences that deny.toml allows")
        return

    print("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/")
    print("Upstream-Name: belvedere")
    print("Comment: The program contains the crates that are listed at the end, each under the licence named there. Their")
    print(" own texts are in THIRD-PARTY-LICENCES.gz beside this file, with those of ONNX Runtime and OpenVINO, which are")
    print(" in /usr/lib/belvedere.")
    print("\nFiles: *")
    print("Copyright: the authors of Belvedere")
    print("License: Expat or Apache-2.0")
    print("\nFiles: usr/lib/belvedere/*")
    print("Copyright: Microsoft Corporation (ONNX Runtime, Expat); Intel Corporation (OpenVINO and oneTBB, Apache-2.0)")
    print("License: Expat or Apache-2.0")
    print("\nLicense: Expat")
    for line in (ROOT / "LICENSE-MIT").read_text().splitlines():
        print(" " + (line or "."))
    print("\nLicense: Apache-2.0")
    print(" On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.")
    print("\nComment: Crates:")
    for package in others:
        print(f" {package['name']} {package['version']}: {package['expression']}")

    if options.texts:
        same = {}
        for package in others:
            for path in texts(package):
                text = path.read_text(errors="replace").strip()
                same.setdefault(text, []).append(f"{package['name']} {package['version']}")
        with open(options.texts, "w") as file:
            for text, names in same.items():
                file.write(", ".join(dict.fromkeys(names)) + "\n\n" + text + "\n\n" + "-" * 100 + "\n\n")


main()
