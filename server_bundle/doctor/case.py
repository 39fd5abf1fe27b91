"""One plan on one machine: facts that several checks need, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from server_bundle.doctor.facts import nvidia, safetensors
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.facts.nvidia import Gpu
from server_bundle.doctor.facts.packages import Inside, query
from server_bundle.doctor.facts.safetensors import Checkpoint
from server_bundle.doctor.flags import Flags
from server_bundle.plan import version_rules
from server_bundle.plan.launch_plan import LaunchPlan

SGLANG_KT = "sglang-kt"


@dataclass(frozen=True)
class Case:
    """The plan, the machine, and what follows from both."""

    plan: LaunchPlan
    machine: Machine

    @cached_property
    def flags(self) -> Flags:
        return Flags(self.plan.argv)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of the server's process."""
        return {**self.machine.environment, **self.plan.environment}

    @cached_property
    def inside(self) -> Inside:
        """The server's interpreter and what is installed there."""
        return query(self.machine, self.plan.python)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The weights' folder."""
        return safetensors.look(self.plan.weights)

    @cached_property
    def gpus(self) -> list[Gpu]:
        """The GPUs that the server will see, in its order; empty where nvidia-smi lists none."""
        listed = nvidia.gpus(self.machine)
        return nvidia.visible(listed, self.environment.get("CUDA_VISIBLE_DEVICES"))

    @property
    def wants_gpus(self) -> int:
        """How many GPUs the server will use."""
        if self.flags.text("--device") == "cpu":
            return 0
        tensor = self.flags.whole("--tensor-parallel-size", "--tp-size", "--tp") or 1
        pipeline = self.flags.whole("--pipeline-parallel-size", "--pp-size") or 1
        return max(tensor * pipeline, min(self.plan.gpus, 1))

    @cached_property
    def version(self) -> str | None:
        """The engine's version: the installed one, else the plan's."""
        return self.inside.packages.get(self.plan.engine) or self.plan.version

    @property
    def is_fork(self) -> bool:
        """Whether the engine is sglang-kt, not sglang."""
        return self.plan.engine == SGLANG_KT

    def is_older(self, version: str) -> bool:
        """Whether the engine is known to be older than this."""
        return self.version is not None and version_rules.satisfies(self.version, f"<{version}")

    @property
    def uses_cpu_experts(self) -> bool:
        """Whether kt-kernel computes experts on the CPU."""
        return self.flags.has("--kt-weight-path")

    @property
    def kt_method(self) -> str:
        """The format of the experts' weights; sglang-kt's own default where none is given."""
        return (self.flags.text("--kt-method") or "AMXINT4").upper()

    @property
    def is_deepseek_v4(self) -> bool:
        """Whether the model is DeepSeek V4, by its configuration, else by the plan's variables."""
        if self.checkpoint.architectures:
            return "DeepseekV4ForCausalLM" in self.checkpoint.architectures
        return "SGLANG_DSV4_MODE" in self.plan.environment
