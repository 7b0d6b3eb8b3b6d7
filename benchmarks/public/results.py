"""`python -m benchmarks results`: what RL-STIR reaches on public data, written as docs/results.md.

Hardware counters and series go through the product's own way, with every detector that the evaluation lists; labelled
logs through `benchmarks/techniques.py`. Nothing is kept between two runs. Where the data are absent it says so in one
sentence and ends with 2. Usage: python -m benchmarks results [--shared DIR] [--out FILE] [--seeds N] [--quick]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.public import counters, logs, page, series
from rlstir_core.atomic import write_bytes

_ROOT = Path(__file__).parents[2]
_NEEDED = (
    f"real/{counters.FOLDER}/{counters.FILE}",
    *(f"real/{series.FOLDER}/{name}" for name in series.SETS),
    "real/evtx_mdecrevoisier.tar.xz",
    "real/evtx_mdecrevoisier.labels.csv",
    "real/mordor/labels.csv",
    "real/README.md",
    "knowledge/README.md",
)
_TEXTS = ("atomic", "attack", "attack_uses", "attack_analytics", "sysmon_modular", "stockpile", "car", "splunk")


def main(argv: Sequence[str] | None = None) -> int:
    """Measures everything and writes the page; 2 where something of the data is not there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks results", description=__doc__)
    parser.add_argument("--shared", type=Path, default=_ROOT.parent / "shared", help="where the public data lie")
    parser.add_argument("--out", type=Path, default=_ROOT / "docs" / "results.md")
    parser.add_argument("--seeds", type=int, default=3, help="splits of the counters, seeds of the series")
    parser.add_argument("--quick", action="store_true", help="one seed and few resamples: to see that it works")
    options = parser.parse_args(argv)
    missing = [name for name in _NEEDED if not (options.shared / name).exists()]
    if missing:
        print(
            f"{options.shared} lacks {', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}, so nothing is "
            "measured; name the folder that has the public data with --shared (docs/results.md says where they are)",
            file=sys.stderr,
        )
        return 2
    seeds, draws = (range(1), 200) if options.quick else (range(options.seeds), 2000)
    text = measured(options.shared, tuple(seeds), draws)
    write_bytes(options.out, text.encode())
    print(f"{options.out} is written")
    return 0


def measured(shared: Path, seeds: tuple[int, ...], draws: int) -> str:
    """The page."""
    from benchmarks import techniques

    began = time.perf_counter()

    def tell(text: str) -> None:
        print(f"{(time.perf_counter() - began) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)

    real = shared / "real"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sections = [
            counters.measured(real, root / "counters", seeds, draws, tell),
            series.measured(real, root / "series", seeds, draws, tell),
        ]
        tell("techniques in labelled logs")
        sections += logs.sections(techniques.across_authors(shared, root / "logs", draws))
    wanted = (counters.FOLDER, series.FOLDER, *logs.FOLDERS, *_TEXTS)
    minutes = (time.perf_counter() - began) / 60
    command = page.COMMAND if seeds == (0, 1, 2) else f"{page.COMMAND} --seeds {len(seeds)}"
    return page.page(sections, page.sources(shared, wanted), command, minutes)


if __name__ == "__main__":
    raise SystemExit(main())
