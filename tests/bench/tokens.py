"""Exact counts against the tokenizers library: `python tests/bench/tokens.py [FOLDER]`.

FOLDER holds texts (*.txt); without it examples/report.txt, repeated, stands in. Every measurement
is a fresh process that loads the vocabulary and counts one text, in turns with the other's;
medians are compared. Ours loads a vocabulary that was converted before (or the bundled one);
theirs reads the tokenizer.json, and counts by its fastest path for a single text.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from vocabulary import make_deepseek_v4  # noqa: E402

ROUNDS = 7
_START = """
import json, resource, sys, time
text = open(sys.argv[1], encoding="utf-8").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
"""
_END = """
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([count, seconds, peak / 1024, (peak - before) / 1024]))
"""
_OURS = """
from ktclient.tokens import bundled
from ktclient.tokens.counter import Counter
count = Counter(bundled.deepseek_v4()).count(text)
"""
_OURS_CACHED = """
from pathlib import Path
from ktclient.tokens import vocabulary as store
from ktclient.tokens.counter import Counter
count = Counter(store.of_file(Path(sys.argv[2]), Path(sys.argv[3]))).count(text)
"""
_THEIRS = """
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[2])
count = len(tokenizer.encode_batch_fast([text], add_special_tokens=False)[0])
"""
_THEIRS_PLAIN = _THEIRS.replace("encode_batch_fast([text]", "encode(text").replace(")[0])", "))")
SIDES = {
    "tokenizers, fastest": _THEIRS,
    "tokenizers, encode": _THEIRS_PLAIN,
    "ours, bundled": _OURS,
    "ours, from the cache": _OURS_CACHED,
}


def main() -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory(prefix="ktjob-bench-") as folder:
        texts = [_normal(path, Path(folder)) for path in _texts(Path(folder))]
        for text in texts:
            _compare(text, Path(folder))


def _texts(folder: Path) -> list[Path]:
    if len(sys.argv) > 1:
        return sorted(Path(sys.argv[1]).glob("*.txt"))
    report = (ROOT / "examples" / "report.txt").read_text(encoding="utf-8")
    path = folder / "report-repeated.txt"
    path.write_text(report * (3_200_000 // len(report)), encoding="utf-8")
    return [path]


def _normal(path: Path, folder: Path) -> Path:
    """As it is sent: line ends as \\n, no byte order mark."""
    copy = folder / f"{path.stem}.normal"
    copy.write_text(path.read_text(encoding="utf-8-sig"), encoding="utf-8")
    return copy


def _compare(text: Path, folder: Path) -> None:
    seen: dict[str, list[list[float]]] = {name: [] for name in SIDES}
    _measure(_OURS_CACHED, text, folder)  # converts it
    for _ in range(ROUNDS):
        for name, script in SIDES.items():
            seen[name].append(_measure(script, text, folder))
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in seen.items()
    }
    count = medians["ours, bundled"][0]
    assert all(row[0] == count for row in medians.values()), medians
    print(f"\n{text.stem}: {count:,.0f} tokens; loading included; median of {ROUNDS}")
    _, slow, large, _ = medians["tokenizers, fastest"]
    for name, (_, seconds, peak, added) in medians.items():
        print(
            f"  {name:<22} {seconds:6.2f} s  {slow / seconds:4.1f}x   peak {peak:4.0f} MB, "
            f"{added:4.0f} MB beyond Python and the text  {peak / large:4.2f}x"
        )


def _measure(script: str, text: Path, folder: Path) -> list[float]:
    source, cache = str(make_deepseek_v4.source()), str(folder / "cache")
    command = [sys.executable, "-c", _START + script + _END, str(text), source, cache]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result: list[float] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    main()
