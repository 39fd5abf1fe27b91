"""Which flags and variables a server gets: the profile's, the options' over them, and what its
version needs or refuses. Each difference from the profile's source has a reason. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from server_bundle.plan import arguments, kv_pool, version_rules
from server_bundle.plan.arguments import Arguments
from server_bundle.plan.kv_pool import Basis, KvPlan
from server_bundle.plan.launch_plan import LaunchPlan
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.memory.choice import PoolChoice
from server_bundle.plan.overrides import Overrides
from server_bundle.plan.profile import LLAMA_CPP, Profile, Value

PREFIX = "command prefix"
_ARCHITECTURES = "sglang-kt 0.7.2 launch_server.py sets the same where they are missing"


@dataclass(frozen=True)
class Difference:
    """One difference between the plan and the profile's source."""

    what: str
    guide: str | None
    """The source's value; None when the source does not set it."""
    ours: str | None
    """The plan's value; None when the plan omits it."""
    reason: str
    evidence: str

    @property
    def before(self) -> str:
        """The source's value in words."""
        return self.guide or self._absent()

    @property
    def after(self) -> str:
        """The plan's value in words."""
        return self.ours or self._absent()

    def _absent(self) -> str:
        return "none" if self.what == PREFIX else "not set"


@dataclass(frozen=True)
class Planned:
    """A plan, with its differences from the source and its notes."""

    plan: LaunchPlan
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    kv: KvPlan | None
    basis: Basis | None = None
    """On what `kv` is planned; None where the profile has no figures."""


@dataclass
class Draft:
    profile: Profile
    wish: Overrides
    machine: MachineFacts
    args: Arguments = field(default_factory=Arguments)
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kv: KvPlan | None = None

    def __post_init__(self) -> None:
        self.pool = PoolChoice(self.profile, self.wish, self.machine)

    def fill(self) -> None:
        """Take the profile's flags and variables, with their placeholders filled in."""
        self.kv = self.pool.plan()
        self.notes += self.pool.notes
        for flag in self.profile.flags:
            change = None if self.wish.as_guide else flag.change
            guide = self._filled(flag.guide, flag.guide)
            value = guide if change is None else self._filled(change.value, flag.guide)
            if value is not None:
                self.args.put(flag.name, () if value is True else (str(value),))
            if change is not None and value != guide:
                self._differ(flag.name, guide, value, change.reason, change.evidence)
        prefix = self.profile.prefix
        if not self.wish.as_guide and prefix.change is not None:
            change = prefix.change
            ours = " ".join(prefix.ours) or None
            self._differ(PREFIX, " ".join(prefix.guide), ours, change.reason, change.evidence)

    def take_wishes(self) -> None:
        """Apply options and extra flags over the profile's."""
        named = {
            "--host": self.wish.host,
            "--context-length": self.wish.context,
            "--mem-fraction-static": self.wish.mem_fraction,
        }
        if self.kv is not None and self.wish.context is not None:
            named["--mem-fraction-static"] = self.kv.fraction
        for name, value in named.items():
            if value is not None:
                self._ask(name, (str(value),), "set on the command line")
        for name, values in arguments.parse(self.wish.extra):
            self._ask(name, values, "set after `--` on the command line")

    def _ask(self, name: str, values: tuple[str, ...], reason: str) -> None:
        self.args.put(name, values)
        old = next((one for one in self.differences if one.what == name), None)
        if old is not None:
            self.differences.remove(old)
        guide = next((one.guide for one in self.profile.flags if one.name == name), None)
        value: Value = " ".join(values) if values else True
        filled = self._filled(guide, guide)
        if filled != value:
            self._differ(name, filled, value, reason, "")

    def keep_rules(self) -> None:
        """Apply the version rules: drop flags, raise values, or add notes."""
        for rule in self._rules():
            if rule.flag is None or rule.flag not in self.args:
                continue
            value = self.args.value(rule.flag)
            if rule.action == version_rules.DROP:
                self.args.drop(rule.flag)
                self._differ(rule.flag, value or True, None, rule.reason, rule.source)
            elif rule.action == version_rules.FLOOR and (value or "").isdigit():
                least = rule.value or 0
                if int(value or 0) < least:
                    self.args.put(rule.flag, (str(least),))
                    self._differ(rule.flag, value, str(least), rule.reason, rule.source)
                else:
                    self.notes.append(f"{rule.flag} {value}: {rule.reason} ({rule.source})")
            elif rule.action == version_rules.WARN:
                self.notes.append(f"{rule.flag}: {rule.reason} ({rule.source})")

    def tell(self) -> None:
        """Add notes about the version, the machine and the guide."""
        if self.wish.version is None:
            self.notes.insert(
                0,
                f"the version of {self.wish.engine} is unknown, so the rules of all its versions "
                "apply",
            )
        self.notes += [
            f"{rule.reason} ({rule.source})"
            for rule in self._rules()
            if rule.action == version_rules.NOTE
        ]
        gpus = self.machine.gpus
        if gpus is not None and gpus < (self.wish.gpus or 0):
            self.notes.append(
                f"this machine has {gpus} {'GPU' if gpus == 1 else 'GPUs'}, "
                f"the plan needs {self.wish.gpus}"
            )
        if self.wish.as_guide:
            self.notes.append(
                "exactly as in the guide: the server has no key, so anyone who can reach the port "
                "can use it"
            )
        if self.profile.kv is None and self.profile.engine != LLAMA_CPP:
            self.notes.append(
                "the size of the KV pool is not computed for this profile: the log has it at the "
                "start (max_total_num_tokens), and ktjob asks the server for it"
            )
            if (size := self._of_a_token()) is not None:
                self.notes.append(size)
        if (chunk := self._chunk_of_a_rank()) is not None:
            self.notes.append(chunk)
        if self.profile.kv is not None and self.kv is None:
            self.notes.append(
                "the size of the KV pool is unknown, so the context is the guide's: compare it "
                "with max_total_num_tokens in the log"
            )
        if self.pool.swa_ratio() != kv_pool.SWA_RATIO:
            self.notes.append(
                "--swa-full-tokens-ratio is experimental: the arithmetic is sglang's own, but this "
                "project has not run a server with it"
            )

    def _of_a_token(self) -> str | None:
        if "--enable-dp-attention" in self.args:
            return None
        most, kv_format = (
            self.args.value(name) for name in ("--max-total-tokens", "--kv-cache-dtype")
        )
        return self.pool.of_a_token(most, kv_format)

    def _chunk_of_a_rank(self) -> str | None:
        """What remains of a chunk where attention is not divided among GPUs."""
        names = ("--data-parallel-size", "--dp-size", "--dp")
        given = next((self.args.value(one) for one in names if one in self.args), None)
        size = self.args.value("--chunked-prefill-size")
        numbers = (given or "", size or "")
        if "--enable-dp-attention" not in self.args or not all(map(str.isdigit, numbers)):
            return None
        ranks, chunk = map(int, numbers)
        if ranks < 2:
            return None
        return f"a long prompt is read {chunk // ranks:,} tokens at a time ({chunk:,} / {ranks})"

    def planned(self) -> Planned:
        """The finished plan."""
        profile, wish = self.profile, self.wish
        context = self.args.value("--context-length")
        if context and context.isdigit() and not wish.as_guide:
            self.pool.refuse_longer(int(context))
        prefix = profile.prefix.guide if wish.as_guide else profile.prefix.ours
        plan = LaunchPlan(
            profile=profile.name,
            engine=wish.engine or "",
            version=wish.version,
            python=wish.python,
            model=wish.model,
            served_name=self.args.value("--served-model-name") or wish.served_name or "",
            host=self.args.value("--host") or "127.0.0.1",
            port=int(self.args.value("--port") or 0),
            prefix=prefix,
            argv=(wish.python, *self._start(), *self.args.words()),
            environment=self._environment(),
            context=int(context) if context else None,
            planned_pool=self._pool(),
            warmup_tokens=self._warmup(int(context) if context else None),
            gpus=wish.gpus or 0,
            ready_seconds=profile.ready_seconds,
            planned_reserved=None if self.kv is None else round(self.kv.reserved_gib, 4),
        )
        return Planned(plan, tuple(self.differences), tuple(self.notes), self.kv, self.pool.basis)

    def _environment(self) -> dict[str, str]:
        """The profile's variables, those for other GPUs, and those of options over them."""
        table = {one.name: str(self._filled(one.value, None)) for one in self.profile.variables}
        if self.wish.as_guide:
            return table
        guide, used = dict(table), self.pool.used
        if used is not None and used.capability is not None:
            for name, value in architectures(used.capability).items():
                if name in table and table[name] != value:
                    table[name] = value
                    self._differ(name, guide[name], value, f"for {used.name}", _ARCHITECTURES)
        for name, value in self.wish.environment.items():
            table[name] = value
            self.differences = [one for one in self.differences if one.what != name]
            if guide.get(name) != value:
                self._differ(name, guide.get(name), value, "set with --env", "")
        return table

    def _warmup(self, context: int | None) -> int:
        """Enough tokens to make the GPUs compute the experts, but at most half of the context."""
        threshold = self.args.value("--kt-gpu-prefill-token-threshold") or ""
        least = int(threshold) + kv_pool.PAGE if threshold.isdigit() else 0
        tokens = max(self.profile.warmup_tokens, least)
        return min(tokens, context // 2) if context else tokens

    def _start(self) -> tuple[str, ...]:
        """With a key: `--config` reads it from a file, which keeps it out of process lists, and
        `sglang_entry.py` keeps it out of the server's log."""
        if self.wish.key_config is None:
            return ("-m", "sglang.launch_server")
        return (self.wish.entry, "--config", self.wish.key_config)

    def _pool(self) -> int | None:
        if self.kv is not None:
            return self.kv.pool
        most = self.args.value("--max-total-tokens") or ""
        return int(most) if most.isdigit() else None

    def _rules(self) -> tuple[version_rules.Rule, ...]:
        engine = self.wish.engine or ""
        return version_rules.rules(engine, self.wish.version, self.profile.family)

    def _filled(self, value: Value | None, otherwise: Value | None) -> Value | None:
        """A value with its placeholder filled in; `otherwise` where its value is unknown."""
        if not isinstance(value, str) or "{" not in value:
            return value
        gpus = self.wish.gpus or 0
        fillings = {
            "model": self.wish.model,
            "port": self.wish.port,
            "gpus": gpus,
            "gpu_list": ",".join(str(gpu) for gpu in range(gpus)),
            "served_name": self.wish.served_name,
            "physical_cores": self.machine.physical_cores,
            "numa_nodes": self.machine.numa_nodes,
            "safe_context": self.kv.context if self.kv else None,
        }
        filling = fillings[value.strip("{}")]
        return otherwise if filling is None else str(filling)

    def _differ(
        self, what: str, guide: Value | None, ours: Value | None, reason: str, evidence: str
    ) -> None:
        self.differences.append(Difference(what, _shown(guide), _shown(ours), reason, evidence))


def _shown(value: Value | None) -> str | None:
    return "set" if value is True else value or None


def architectures(capability: tuple[int, int]) -> dict[str, str]:
    """For what kernels are compiled at run time, as sglang-kt's launch_server.py says it for a
    compute capability."""
    dotted = "{}.{}".format(*capability)
    letter = "a" if capability[0] in (9, 10, 11, 12) else ""
    return {
        "FLASHINFER_CUDA_ARCH_LIST": f"{dotted}{letter}",
        "TORCH_CUDA_ARCH_LIST": f"{dotted}+PTX",
    }
