"""How long a request a server can compute, by its command: window, KV pool, workspace. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server_bundle.doctor.flags import Flags
from server_bundle.plan import kv_pool, version_rules
from server_bundle.plan.kv_pool import Basis, Card, Layout
from server_bundle.plan.profile import Profile

_RESERVATION = "mxfp4-layerwise-reservation"
MARGIN = 6
"""sglang refuses a prompt of pool - 6 tokens and more (managers/utils.py:122, tp_worker.py:287)."""


@dataclass(frozen=True)
class Room:
    """Sizes in tokens; None where the command line does not say them."""

    window: int | None
    pool: int | None
    """At most: before 0.7.2 --max-total-tokens makes a smaller one than it says."""
    is_capped: bool
    """Whether --max-total-tokens decides the pool, not the memory."""
    workspace_gib: float | None
    """Memory of a GPU that is left for the computing of a forward."""

    @property
    def admitted(self) -> int | None:
        """The longest prompt that the pool admits with an answer of up to 4,096 tokens."""
        return None if self.pool is None else kv_pool.safe_context(self.pool)

    @property
    def longest(self) -> int | None:
        """The longest prompt that is computed, with such an answer."""
        known = [one for one in (self.admitted, self.window) if one is not None]
        return min(known, default=None)

    @property
    def accepted(self) -> int | None:
        """The longest prompt that is not refused, as far as pool and window say."""
        known = [self.window - 1] if self.window is not None else []
        known += [self.pool - MARGIN] if self.pool is not None else []
        return max(0, min(known)) if known else None

    @property
    def can_wedge(self) -> bool:
        """Whether a prompt can be accepted that the pool never admits."""
        admitted, accepted = self.admitted, self.accepted
        return admitted is not None and accepted is not None and admitted < accepted


@dataclass(frozen=True)
class Deployment:
    """The plan's GPUs and model (`basis`), with this number of GPUs. `window`: the model's own, in
    tokens."""

    profile: Profile
    basis: Basis | None
    version: str | None
    gpus: int
    window: int | None


def of(flags: Flags, there: Deployment) -> Room:
    """The room of a server with these flags, on the GPUs and with the model of the plan."""
    asked = flags.whole("--context-length", "--ctx-length")
    cap = flags.whole("--max-total-tokens")
    by_memory = _by_memory(flags, there)
    if by_memory is None:
        return Room(asked or there.window, cap, cap is not None, None)
    card, layout, reserved, pool = by_memory
    is_capped = cap is not None and (pool is None or cap < pool)
    found = cap if is_capped else pool
    left = None
    if found is not None:
        taken = found * layout.bytes_per_token() / (1 << 30)
        left = card.after_load_gib - card.graphs_gib - reserved - taken
    return Room(asked or there.window, found, is_capped, left)


def _by_memory(flags: Flags, there: Deployment) -> tuple[Card, Layout, float, int | None] | None:
    """The GPU, the pool's layout, GiB reserved beside it, and its tokens by the memory; None where
    the profile has no figures."""
    basis, profile = there.basis, there.profile
    if basis is None:
        return None
    experts = flags.whole("--kt-num-gpu-experts")
    on_gpus = basis.loaded.gpu_experts if experts is None else experts
    loaded = replace(basis.loaded, gpus=there.gpus, gpu_experts=on_gpus)
    if loaded.refusal() is not None:
        return None
    card = basis.card_with(loaded)
    ratio = flags.fraction("--swa-full-tokens-ratio") or kv_pool.SWA_RATIO
    layout = Layout(
        loaded.shape,
        ratio,
        is_speculative=flags.has("--speculative-algorithm"),
        is_bf16=basis.is_bf16,
    )
    reserved = 0.0
    has_threshold = flags.has("--kt-gpu-prefill-token-threshold") and basis.reserves
    if has_threshold and version_rules.holds(
        _RESERVATION, profile.engine, there.version, profile.family
    ):
        reserved = loaded.reservation_gib()
    fraction = flags.fraction("--mem-fraction-static")
    pool = None if fraction is None else kv_pool.pool(card, fraction, layout, reserved)
    return card, layout, reserved, pool
