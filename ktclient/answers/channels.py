"""The channels of gpt-oss (its "harmony" format), as text: what begins and ends a message there.

`<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>`
"""

from __future__ import annotations

import re

HEADER = re.compile(
    r"(?:<\|start\|>[^<\n]{0,60})?<\|channel\|>([^<\n]{0,60})(?:<\|constrain\|>[^<\n]{0,20})?"
    r"<\|message\|>",
    re.I,
)
"""What begins a message; its group is the channel's name, perhaps with a recipient."""
MOST_OF_HEADER = 200
"""Characters of the longest header."""
END = re.compile(r"<\|(?:end|return|call)\|>", re.I)
NEXT = re.compile(r"<\|(?:end|return|call|start|channel)\|>", re.I)
"""What ends a message: its own end, or the beginning of another one."""
FINAL = re.compile(
    r"(?:<\|end\|>\s{0,9})?(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>", re.I
)
"""Between thoughts whose header stood in the prompt, and the answer."""
BARE_ANALYSIS = re.compile(r"analysis(?=[A-Z])")
BARE_FINAL = re.compile("assistantfinal")
"""The same where the server leaves out special tokens: "analysisThe user … assistantfinalYes"."""
MARKS = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")


def is_final(header: re.Match[str]) -> bool:
    """Whether a message with this header is for the user; others are thoughts or calls."""
    return header.group(1).split()[:1] == ["final"]
