"""Generation settings of a request: a system prompt, a temperature, thinking and its effort."""

from __future__ import annotations

from dataclasses import dataclass

from ktclient.errors import BadInput
from ktclient.wording import quote

EFFORTS = ("low", "medium", "high", "max")
"""Names of efforts that a user may give; what a server makes of them is in
`tokens.deepseek_effort`."""
MOST_TEMPERATURE = 2.0
"""OpenAI's upper bound (API reference, chat completions); sglang accepts more, and writes noise."""


@dataclass(frozen=True)
class GenerationSettings:
    """Generation settings; a None value is not sent."""

    system: str | None = None
    temperature: float | None = None
    thinking: bool | None = None
    effort: str | None = None
    """One of `EFFORTS`; with it, `thinking` is True."""

    def with_system(self, message: str) -> str:
        """The whole prompt text, to be counted."""
        return message if self.system is None else f"{self.system}\n\n{message}"

    def to_fields(self) -> dict[str, object]:
        """The settings that are not None, for JSON."""
        fields = {
            "system": self.system,
            "temperature": self.temperature,
            "thinking": self.thinking,
            "effort": self.effort,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_fields(cls, fields: dict[str, object]) -> GenerationSettings:
        """The settings from a mapping that contains the fields of `to_fields`."""
        system, temperature = fields.get("system"), fields.get("temperature")
        thinking, effort = fields.get("thinking"), fields.get("effort")
        return cls(
            system if isinstance(system, str) else None,
            float(temperature) if isinstance(temperature, (int, float)) else None,
            thinking if isinstance(thinking, bool) else None,
            effort if isinstance(effort, str) else None,
        )


def parse(
    system: str | None = None,
    temperature: float | None = None,
    thinking: bool | None = None,
    effort: str | None = None,
) -> GenerationSettings:
    """Check generation settings. An effort turns thinking on. Raises `BadInput`."""
    if system is not None:
        if not system.strip():
            raise BadInput("the system text is empty")
        if "\0" in system or any("\ud800" <= character <= "\udfff" for character in system):
            raise BadInput("the system text is not valid in this terminal's encoding")
    if temperature is not None and not 0 <= temperature <= MOST_TEMPERATURE:
        raise BadInput(f"temperature must be from 0 to {MOST_TEMPERATURE:g}, not {temperature}")
    if effort is None:
        return GenerationSettings(system, temperature, thinking)
    if effort not in EFFORTS:
        raise BadInput(f"effort must be one of {', '.join(EFFORTS)}, not {quote(effort)}")
    if thinking is False:
        raise BadInput(
            f"effort {effort} is for thinking, which is turned off (--thinking off): "
            "leave out one of the two"
        )
    return GenerationSettings(system, temperature, True, effort)


def template_kwargs(thinking: bool, effort: str | None = None) -> dict[str, object]:
    """Thinking for chat templates, by the two names in use: DeepSeek's (encoding_dsv4.py and V3.1's
    template), and that of Qwen3 and GLM; and its effort, by that of gpt-oss and DeepSeek V4.
    Templates ignore names that they do not know."""
    of_effort = {} if effort is None else {"reasoning_effort": effort}
    return {"thinking": thinking, "enable_thinking": thinking, **of_effort}
