#!/usr/bin/env python3
"""Takes from a clone of RustSec's database what concerns the crates that are locked.

update.py FOLDER    writes advisory-db/crates and advisory-db/looked-up beside this file
update.py --check   fails where a crate is locked that was not looked up
"""

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What decides whether a version is affected; categories, functions and so on are left to the whole text.
KEPT = ("id", "package", "date", "url", "informational", "license", "withdrawn")


def locked():
    """The names of all crates from elsewhere."""
    names = set()
    for file in (HERE.parent / "Cargo.lock", HERE.parent / "fuzz/Cargo.lock"):
        for package in file.read_text().split("[[package]]")[1:]:
            if re.search(r"^source = ", package, re.M):
                names.add(re.search(r'^name = "(.*)"$', package, re.M)[1])
    return sorted(names)


def shortened(text):
    """An advisory without its description."""
    front, rest = re.fullmatch(r"```toml\n(.*?)\n```\s*(.*)", text, re.S).groups()
    advisory, versions = (
        re.search(rf"^\[{table}\]\n(.*?)(?=^\[|\Z)", front, re.M | re.S)[1] for table in ("advisory", "versions")
    )
    kept = [re.search(rf"^{key} *=.*$", advisory, re.M) for key in KEPT]
    identity = re.search(r'^id *= *"(.*)"', advisory, re.M)[1]
    title = re.match(r"# *(.*)", rest)[1].strip()
    lines = ["```toml", "[advisory]", *(line[0] for line in kept if line), "", "[versions]", versions.strip(), "```", ""]
    return "\n".join([*lines, f"# {title}", "", f"<https://rustsec.org/advisories/{identity}.html>", ""])


def main():
    if sys.argv[1:] == ["--check"]:
        looked_up = HERE.joinpath("advisory-db/looked-up").read_text().splitlines()
        unknown = sorted(set(locked()) - set(looked_up))
        sys.exit(f"look up {', '.join(unknown)} as deny/advisory-db/README.md says" if unknown else 0)
    database = Path(sys.argv[1]) / "crates"
    out = HERE / "advisory-db"
    shutil.rmtree(out / "crates", ignore_errors=True)
    names = locked()
    for name in names:
        # Drafts have no number yet.
        for file in sorted(database.joinpath(name).glob("RUSTSEC-[12]*.md")):
            out.joinpath("crates", name).mkdir(parents=True, exist_ok=True)
            out.joinpath("crates", name, file.name).write_text(shortened(file.read_text()))
    out.joinpath("looked-up").write_text("\n".join(names) + "\n")


main()
