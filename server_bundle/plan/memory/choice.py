"""Which KV pool a plan has: on which GPUs, for which model, with which share of their memory. Pure.

What is not known of the machine or of the model is taken from the profile, and `notes` say so.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field, replace

from server_bundle.errors import PlanRefused
from server_bundle.plan import arguments, kv_pool, version_rules
from server_bundle.plan.kv_pool import Basis, Card, KvPlan, Layout, Loaded
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.memory import gpus
from server_bundle.plan.memory.gpus import Gpu
from server_bundle.plan.overrides import Overrides
from server_bundle.plan.profile import KvFacts, Profile

_RESERVATION = "mxfp4-layerwise-reservation"
_KERNELS = "SGLANG_V4_USE_TRITON_KERNELS"
"""With 0 or 1 nothing is reserved (the same function)."""
_BF16 = ("auto", "bf16", "bfloat16")
_TOTAL = "--max-total-tokens"
_DROPPED = "max-total-tokens"
"""The rule that leaves it out."""
_DEVICES = "CUDA_VISIBLE_DEVICES"
_LONGER = "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN"


@dataclass
class PoolChoice:
    """The choice for one profile, options and machine."""

    profile: Profile
    wish: Overrides
    machine: MachineFacts
    notes: list[str] = field(default_factory=list)
    used: Gpu | None = None
    """The GPU that was planned for; None where the pool is not planned."""
    basis: Basis | None = None

    def plan(self) -> KvPlan | None:
        """The plan of the pool; None where the profile has no figures for one, or an estimate
        leaves no room. Raises `PlanRefused`."""
        facts = self.profile.kv
        if facts is None or self.profile.context is None:
            return None
        loaded = self._loaded(facts)
        chosen = self._gpu(facts)
        if loaded != facts.loaded and (why := loaded.refusal()) is not None:
            raise PlanRefused(f"--tensor-parallel-size {self.wish.gpus}: {why}")
        self.used = chosen or facts.gpu
        card = self._card(facts, loaded, chosen)
        self.basis = Basis(card, loaded, self.used.capability)
        layout = Layout(
            loaded.shape,
            self.swa_ratio(),
            is_speculative=self._setting("--speculative-algorithm") is not None,
            is_bf16=self.basis.is_bf16,
        )
        reserved = self._reserved(self.basis)
        if card is not facts.card:
            self._tell_estimate(loaded, card, reserved, chosen)
            if self._leaves_none(card, layout, reserved):
                return None
        return self._choose(card, layout, reserved)

    def swa_ratio(self) -> float:
        """--swa-full-tokens-ratio, by the flags or sglang-kt's own."""
        with contextlib.suppress(ValueError):
            given = float(self._setting("--swa-full-tokens-ratio") or 0)
            if 0 < given <= 1:
                return given
        return kv_pool.SWA_RATIO

    def refuse_longer(self, context: int | None) -> None:
        """Raise `PlanRefused` for a context that is longer than the model's own: the server would
        not start (sglang configs/model_config.py, _derive_context_length)."""
        config = self.wish.config
        allowed = self.wish.environment.get(_LONGER, "").lower() in ("1", "true")
        if config is None or config.longest is None or context is None or allowed:
            return
        if context > config.longest:
            raise PlanRefused(
                f"a context of {context:,} tokens is longer than the model's own: {config.place} "
                f"allows {config.longest:,}. Use --context {config.longest}"
            )

    def of_a_token(self, most: str | None, kv_format: str | None) -> str | None:
        """What a pool of tokens takes that the profile has no figures for; None where that is not
        known. `most`, `kv_format`: --max-total-tokens and --kv-cache-dtype."""
        config, gpus_used = self.wish.config, self.wish.gpus or 1
        if config is None or config.token is None or (kv_format or "auto") not in _BF16:
            return None
        size = config.token.on_gpu(gpus_used, 2)
        told = f"each token of the KV pool takes {size:,} bytes on each GPU, in BF16"
        if (most or "").isdigit():
            gib = int(most or 0) * size / (1 << 30)
            told += f": {gib:.1f} GiB for the {int(most or 0):,} of {_TOTAL}"
        return f"{told} ({config.place}; sglang's get_cell_size_per_token)"

    # -- the model -----------------------------------------------------------------------------

    def _loaded(self, facts: KvFacts) -> Loaded:
        experts = self._setting("--kt-num-gpu-experts") or ""
        shape, config = facts.loaded.shape, self.wish.config
        if config is not None and config.shape is None:
            self.notes.append(
                f"the KV pool is planned by the shape of the profile's model. {config.place}: "
                f"{config.trouble}"
            )
        elif config is not None and config.shape is not None and config.shape != shape:
            shape = config.shape
            self.notes.append(
                f"the KV pool is planned by the model's own shape, which is not that of the "
                f"profile's: {shape.layers:,} layers, hidden size {shape.hidden:,}, "
                f"{shape.experts:,} experts {shape.expert_hidden:,} wide ({config.place})"
            )
        return Loaded(
            shape,
            self.wish.gpus or 0,
            min(shape.experts, int(experts)) if experts.isdigit() else facts.loaded.gpu_experts,
        )

    # -- the GPUs ------------------------------------------------------------------------------

    def _gpu(self, facts: KvFacts) -> Gpu | None:
        """The GPU to plan for; None for the profile's."""
        count = self.wish.gpus or 0
        if self.wish.gpu is not None:
            if self.wish.gpu.before_load_gib is not None:
                self.notes.append(
                    f"planned for {count} x {self.wish.gpu.title}, as the options say"
                )
            return None if self.wish.gpu.is_like(facts.gpu) else self.wish.gpu
        seen = gpus.visible(self.machine.cards, self.wish.environment.get(_DEVICES), count)
        here = gpus.smallest(seen) if seen else None
        if here is None or here.mib is None:
            why = (
                f"nvidia-smi shows no memory for {here.name}"
                if here is not None
                else self._none_here(count)
            )
            self.notes.append(
                f"planned for {count} GPUs like the profile's, {facts.gpu.title}: {why}. For other "
                "ones use --gpu NAME or --gpu-memory GIB"
            )
            return None
        self.notes.append(f"planned for {count} x {here.title}, by nvidia-smi on this machine")
        return None if here.is_like(facts.gpu) else here

    def _none_here(self, count: int) -> str:
        named = self.wish.environment.get(_DEVICES)
        if named is not None and len(self.machine.cards) >= count:
            return f"{_DEVICES}={named} does not name {count} of this machine's GPUs by number"
        return f"nvidia-smi shows no {count} GPUs here"

    def _card(self, facts: KvFacts, loaded: Loaded, chosen: Gpu | None) -> Card:
        if chosen is None or chosen.before_load_gib is None:
            return (
                facts.card
                if loaded == facts.loaded
                else facts.card.with_others(facts.loaded, loaded)
            )
        one = replace(facts.loaded, gpus=1)
        known = facts.card.with_others(facts.loaded, one)
        beside = known.total_gib - known.after_load_gib
        total = chosen.before_load_gib
        return Card(total, total - beside, known.graphs_gib).with_others(one, loaded)

    def _reserved(self, basis: Basis) -> float:
        """GiB on each GPU that sglang-kt keeps out of the pool for layers of experts."""
        profile, wish, loaded = self.profile, self.wish, basis.loaded
        threshold = self._setting("--kt-gpu-prefill-token-threshold") or ""
        is_used = (
            version_rules.holds(_RESERVATION, profile.engine, wish.version, profile.family)
            and threshold.isdigit()
            and int(threshold) > 0
            and (self._setting("--kt-method") or "").upper() == "MXFP4"
            and wish.environment.get(_KERNELS) not in ("0", "1")
        )
        if is_used and basis.capability is not None and not basis.reserves:
            self.notes.append(
                "on compute capability {}.{} sglang-kt reserves nothing for prefill of whole "
                "layers: it loads them one after the other, into about {:.1f} GiB of the workspace "
                "(sglang-kt 0.7.2 layers/moe/kt_ep_wrapper.py:3413,5805)".format(
                    *basis.capability, loaded.reservation_gib() / 2
                )
            )
            return 0.0
        if not is_used:
            return 0.0
        if not loaded.has_layerwise_prefill():
            raise PlanRefused(
                f"--tensor-parallel-size {loaded.gpus}: each GPU would have experts "
                f"{loaded.expert_width:,} wide, and their kernels need a multiple of 64 "
                "(sglang-kt quantization/v4_marlin_moe.py). Use fewer GPUs"
            )
        return loaded.reservation_gib()

    # -- the share of their memory -------------------------------------------------------------

    def _choose(self, card: Card, layout: Layout, reserved: float) -> KvPlan:
        wish, most = self.wish, self.profile.context or 0
        fraction = wish.mem_fraction or self._profile_fraction()
        if wish.as_guide:
            return kv_pool.plan(card, fraction, most, layout, reserved)
        if wish.config is not None and wish.config.longest is not None:
            most = min(most, wish.config.longest)
        if wish.context is not None and wish.mem_fraction is None:
            need = min(self._limit(), kv_pool.pool_for(wish.context))
            fraction = max(fraction, kv_pool.fraction_for(card, need, layout, reserved))
        limit = self._limit()
        tokens = min(limit, kv_pool.pool(card, fraction, layout, reserved))
        context = wish.context or min(most, kv_pool.safe_context(tokens))
        found = kv_pool.plan(card, fraction, context, layout, reserved)
        found = replace(found, pool=min(limit, found.pool))
        if wish.mem_fraction is None and (fraction >= 1 or found.workspace_gib < 1):
            longest = kv_pool.most_context(card, layout, reserved)
            raise PlanRefused(
                f"a context of {context:,} tokens does not fit on these GPUs: the longest is "
                f"{longest:,}. Use a shorter --context, or (experimental) "
                "`-- --swa-full-tokens-ratio 0.02`"
            )
        if context < 1 or not found.fits:
            raise PlanRefused(
                f"a context of {context:,} tokens does not fit with --mem-fraction {fraction:g}: "
                f"{found.verdict}. Use a shorter --context, or (experimental) "
                "`-- --swa-full-tokens-ratio 0.02`"
            )
        return found

    def _limit(self) -> int:
        """--max-total-tokens in whole pages, where the server's version takes it."""
        given = self._setting(_TOTAL) or ""
        profile, wish = self.profile, self.wish
        is_dropped = version_rules.holds(_DROPPED, profile.engine, wish.version, profile.family)
        if not given.isdigit() or is_dropped:
            return sys.maxsize
        return int(given) // kv_pool.PAGE * kv_pool.PAGE

    def _tell_estimate(
        self, loaded: Loaded, card: Card, reserved: float, chosen: Gpu | None
    ) -> None:
        """What the weights take on other GPUs, or of another model, is computed, not measured."""
        held = (
            f", {reserved:.2f} GiB reserved for layers of experts {loaded.expert_width:,} wide"
            if reserved
            else ""
        )
        on = f"{loaded.gpus} GPUs like the profile's" if chosen is None else "these GPUs"
        self.notes.append(
            f"on {on} the pool is an estimate: about {loaded.weights_gib():.1f} GiB of weights on "
            f"each{held}, {card.after_load_gib:.1f} GiB of {card.total_gib:.1f} free after "
            "loading. Compare it with max_total_num_tokens in the log"
        )

    def _leaves_none(self, card: Card, layout: Layout, reserved: float) -> bool:
        """Whether an estimate leaves no pool: it may be wrong, so the plan is not refused."""
        fraction = self.wish.mem_fraction or self._profile_fraction()
        if kv_pool.safe_context(kv_pool.pool(card, fraction, layout, reserved)) > 0:
            return False
        self.notes.append(
            f"by that estimate no memory is left for a KV pool at --mem-fraction {fraction:g}: use "
            "more GPUs, or fewer experts on them (`-- --kt-num-gpu-experts 1`)"
        )
        return True

    def _profile_fraction(self) -> float:
        return float(self._guide("--mem-fraction-static") or 0)

    def _guide(self, name: str) -> str | None:
        found = next((one.guide for one in self.profile.flags if one.name == name), None)
        return found if isinstance(found, str) else None

    def _setting(self, name: str) -> str | None:
        """A flag's value: typed after `--`, else the profile's."""
        typed = dict(arguments.parse(self.wish.extra)).get(name)
        return typed[0] if typed else self._guide(name)
