"""Makes results.md and the pictures of a results.json: `draw.py FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pictures
from report import report
from verdicts import verdicts


def main() -> int:
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.md").write_text(report(results))
    (folder / "pictures").mkdir(exist_ok=True)
    for picture in pictures.draw(results, folder / "pictures"):
        print(f"drawn: {picture.name}")
    for verdict in verdicts(results):
        print(f"{verdict.number:>5}  {verdict.word:10}  {verdict.promise}: {verdict.measured}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
