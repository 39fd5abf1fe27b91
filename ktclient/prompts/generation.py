"""Generation settings of a request: a system prompt, a temperature, thinking."""

from __future__ import annotations

from dataclasses import dataclass

from ktclient.errors import BadInput

MOST_TEMPERATURE = 2.0
"""OpenAI's upper bound (API reference, chat completions); sglang accepts more, and writes noise."""


@dataclass(frozen=True)
class GenerationSettings:
    """Generation settings; a None value is not sent."""

    system: str | None = None
    temperature: float | None = None
    thinking: bool | None = None

    def with_system(self, message: str) -> str:
        """The whole prompt text, to be counted."""
        return message if self.system is None else f"{self.system}\n\n{message}"

    def to_fields(self) -> dict[str, object]:
        """The settings that are not None, for JSON."""
        fields = {
            "system": self.system,
            "temperature": self.temperature,
            "thinking": self.thinking,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_fields(cls, fields: dict[str, object]) -> GenerationSettings:
        """The settings from a mapping that contains the fields of `to_fields`."""
        system, temperature = fields.get("system"), fields.get("temperature")
        thinking = fields.get("thinking")
        return cls(
            system if isinstance(system, str) else None,
            float(temperature) if isinstance(temperature, (int, float)) else None,
            thinking if isinstance(thinking, bool) else None,
        )


def parse(
    system: str | None = None, temperature: float | None = None, thinking: bool | None = None
) -> GenerationSettings:
    """Check generation settings. Raises `BadInput`."""
    if system is not None:
        if not system.strip():
            raise BadInput("the system text is empty")
        if "\0" in system or any("\ud800" <= character <= "\udfff" for character in system):
            raise BadInput("the system text is not valid in this terminal's encoding")
    if temperature is not None and not 0 <= temperature <= MOST_TEMPERATURE:
        raise BadInput(f"temperature must be from 0 to {MOST_TEMPERATURE:g}, not {temperature}")
    return GenerationSettings(system, temperature, thinking)


def template_kwargs(thinking: bool) -> dict[str, object]:
    """Thinking for chat templates, by the two names in use: DeepSeek's (encoding_dsv4.py and V3.1's
    template), and that of Qwen3 and GLM. Templates ignore names that they do not know."""
    return {"thinking": thinking, "enable_thinking": thinking}
