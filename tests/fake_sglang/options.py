"""Every option of the scripted server, with its default and the reason for it."""

from __future__ import annotations

import argparse
import math
import random
from dataclasses import dataclass, fields, replace
from pathlib import Path

from fake_sglang.faults import NAMES as FAULT_NAMES
from fake_sglang.pace import Rate

STAGES = ("weights", "kt", "memory", "pools", "graphs", "port", "ready")
"""Of a start; `ready` is right after the last line of it."""
SHORT_ANSWER = "The text tells a long story, and this is a short account of it."


@dataclass(frozen=True)
class Options:
    """One run of the scripted server. Field names are the command's options."""

    port: int
    flavour: str
    release: str
    window: int
    pool: int
    model: str
    tokenizer: str | None
    metrics: bool
    chunk: int
    prefill_seconds: float
    answer: str
    token_seconds: float
    tokens_per_char: float | None
    max_running: int
    rate: Rate | None
    noise: float
    speed: float
    notice_seconds: float
    real_notice: bool
    ghost: str
    radix: bool
    page: int
    clip: int
    max_queued: int | None
    waiting_timeout: float
    running_timeout: float
    health_seconds: float
    health_timeout: float
    instant_loads: bool
    drain: bool
    log: Path | None
    log_ranks: int
    log_hybrid: bool
    grammar: str
    stage_seconds: float
    die_at: str | None
    hang_at: str | None
    children: int
    strays: int
    deaf: bool
    flood: float
    fault: tuple[str, ...]
    require_key: str | None
    record: Path | None

    @property
    def is_kt(self) -> bool:
        """sglang-kt 0.7.2 (the fork our users run), or upstream sglang 0.5.17."""
        return self.flavour == "kt"

    @property
    def version(self) -> str:
        """As it says it: the fork, built from a wheel, does not know its own (recorded)."""
        return "0.0.0.dev0" if self.is_kt else self.release

    @property
    def counts_chunks(self) -> bool:
        """Whether /v1/loads counts computed chunks and their time, and /metrics begun ones: sglang
        0.5.23 (recorded, data/sglang/loads-0.5.23.jsonl)."""
        return not self.is_kt and tuple(map(int, self.release.split("."))) >= (0, 5, 23)

    @property
    def has_ghosts(self) -> bool:
        """Whether an aborted prefill runs to its end (recorded of kt; upstream mended it)."""
        return self.is_kt if self.ghost == "auto" else self.ghost == "on"

    @property
    def drain_seconds(self) -> float:
        """Between two looks of sigterm_watchdog."""
        return 5.0 / self.speed

    def prefill_time(self, prompt: int, start: int, end: int) -> float:
        """Seconds for the tokens from `start` up to `end` of a prompt."""
        if self.rate is not None:
            return self.rate.seconds(start, end) * random.uniform(1 - self.noise, 1 + self.noise)
        return self.prefill_seconds * (end - start) / prompt

    def notice(self, is_streamed: bool) -> float:
        """From a cut socket to its abort: sglang looks after 2 s at streams, every 4 s else."""
        if not self.real_notice:
            return self.notice_seconds
        return (2.0 if is_streamed else 4.0) / self.speed

    @property
    def max_input(self) -> int:
        """The longest prompt that validation lets through (sglang managers/utils.py)."""
        return min(self.window - 1, self.pool - 1) - 5

    def count_tokens(self, text: str) -> int:
        """One token per 4 bytes of UTF-8, or --tokens-per-char for each character; rounded up."""
        if self.tokens_per_char is not None:
            return math.ceil(len(text) * self.tokens_per_char)
        return math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4)


def _faults(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = sorted(set(names) - FAULT_NAMES)
    if unknown:
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(unknown)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fake-sglang", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="0: any free one")
    add("--flavour", choices=("kt", "upstream"), default="kt")
    add("--release", default="0.5.17", help="upstream: 0.5.23 counts in another way")
    add("--window", type=int, default=1_048_576, help="the context length, in tokens")
    add("--pool", type=int, default=964_864, help="the KV pool, in tokens")
    add("--model", default="DeepSeek-V4-Flash")
    add("--tokenizer", metavar="DIR", help="the tokenizer_path that it tells, else below /models")
    add("--metrics", action="store_true", help="serve /metrics, as --enable-metrics does")
    add("--chunk", type=int, default=4096, help="tokens prefilled between two looks at the world")
    add("--prefill-seconds", type=float, default=0.2, help="how long any prefill lasts")
    add("--answer", default=SHORT_ANSWER, help="streamed a word at a time; a word is a token")
    add("--token-seconds", type=float, default=0.01, help="between two words")
    add("--tokens-per-char", type=float, help="instead of one token per 4 bytes of UTF-8")
    add("--max-running", type=int, default=2, help="requests at a time; others wait")
    add("--notice-seconds", type=float, default=0.0, help="from a cut socket to its abort")
    add("--real-notice", action="store_true", help="instead: 2 s for a stream, 4 s else")
    add("--rate", type=Rate.parse, help="590:320@600000: tokens/s at 0 and at a position")
    add("--noise", type=float, default=0.0, help="0.1: with --rate chunks stray by a tenth")
    add("--speed", type=float, default=1.0, help="run so many times as fast, and log as if not")
    add("--ghost", choices=("auto", "on", "off"), default="auto", help="auto: kt has them")
    add("--radix", action="store_true", help="keep prefixes; the guide turns that off")
    add("--page", type=int, default=256, help="KV tokens to a page: DeepSeek V4's")
    add("--clip", type=int, default=4096, help="SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION")
    add("--max-queued", type=int, help="503 for those beyond, as --max-queued-requests")
    add("--waiting-timeout", type=float, default=-1.0, help="SGLANG_REQ_WAITING_TIMEOUT")
    add("--running-timeout", type=float, default=-1.0, help="SGLANG_REQ_RUNNING_TIMEOUT")
    add("--health-timeout", type=float, default=20.0, help="SGLANG_HEALTH_CHECK_TIMEOUT")
    add("--grammar", choices=("xgrammar", "none"), default="xgrammar", help="--grammar-backend")
    add("--drain", action="store_true", help="on SIGTERM wait for requests, as sglang does")
    add("--log", type=Path, metavar="FILE", help="write the server's own log lines there")
    add("--log-ranks", type=int, default=0, help="prefix TP0 ..., and repeat lines per rank")
    add("--log-hybrid", action="store_true", help="as DeepSeek V4 on GPUs logs")
    add("--health-seconds", type=float, default=0.0, help="the least time of /health; recorded: 1")
    add("--instant-loads", action="store_true", help="kt: /v1/loads waits for no chunk")
    add("--stage-seconds", type=float, default=0.0, help="how long each stage of a start lasts")
    add("--die-at", choices=STAGES, help="end there as sglang does when a child of it failed")
    add("--hang-at", choices=STAGES, help="never get beyond it")
    add("--children", type=int, default=0, help="schedulers: processes that outlive it")
    add("--strays", type=int, default=0, help="such that leave for sessions of their own, too")
    add("--deaf", action="store_true", help="SIGTERM does nothing")
    add("--flood", type=float, default=0.0, help="numbered lines a second, once it serves")
    add("--fault", type=_faults, default=(), help="a comma list, one per chat request")
    add("--require-key", metavar="KEY", help="401 without this bearer token")
    add("--record", type=Path, metavar="DIR", help="write requests and events there")
    return parser


# Everything that lasts, and so shrinks with --speed.
_TIMES = (
    *(
        "stage_seconds",
        "prefill_seconds",
        "token_seconds",
        "notice_seconds",
        "health_seconds",
        "health_timeout",
    ),
    *("waiting_timeout", "running_timeout"),
)


def parse(argv: list[str] | None = None) -> Options:
    """Read the command line."""
    found = vars(_parser().parse_args(argv))
    options = Options(**{field.name: found[field.name] for field in fields(Options)})
    faster = {name: getattr(options, name) / options.speed for name in _TIMES}
    rate = options.rate.times(options.speed) if options.rate else None
    return replace(options, rate=rate, **faster)
