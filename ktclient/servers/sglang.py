"""sglang and sglang-kt."""

from __future__ import annotations

import threading

import httpx2

NAME = "sglang"
PIECE_CHARACTERS = 100_000
"""/tokenize runs on the HTTP event loop and stalls all other requests: about half a second for
this much (200,000 characters took 0.85 s in real/sglang-kt-0.7.2-cpu/abort.jsonl)."""
LOADS_SECONDS = 600.0
"""/v1/loads waits for the end of a chunk: 7 to 13 s in the guide's deployment, 26 s seen, minutes
when kernels are compiled first. Much longer than that, because sglang-kt keeps a question whose
asker has gone, and answers it before the next one."""
TEMPLATE_TOKENS = 16
"""Allowance for the chat template around one user message."""

one_question = threading.Lock()


class Sglang:
    """Dialect of sglang 0.5 and sglang-kt 0.6.2 to 0.7.2."""

    name = NAME
    pulse_path = "/model_info"

    def extras(self, rid: str) -> dict[str, object]:
        """Our own request id, and thinking off in the one way that all versions understand
        (off by default in sglang-kt 0.6.2, on with effort "max" in 0.7.2)."""
        return {"rid": rid, "chat_template_kwargs": {"thinking": False}}

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        """The server's own tokenizer, in pieces cut at line ends; a few tokens too many."""
        total = TEMPLATE_TOKENS
        for piece in _pieces(message):
            body = {"model": model, "prompt": piece, "add_special_tokens": False}
            answer = http.post(f"{url}/tokenize", json=body)
            if answer.status_code != 200 or "count" not in answer.json():
                return None
            total += int(answer.json()["count"])
        return total

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        """No request runs or waits and no token is in use. During chunked prefill the request is
        in neither list, only its tokens show (real/sglang-kt-0.7.2-cpu/long.jsonl). Answered
        between chunks, so with patience; sglang-kt answers one question at a time and the next at
        the next chunk (tokenizer_communicator_mixin.py:129), so this process asks only one."""
        with one_question:
            answer = http.get(f"{url}/v1/loads?include=core", timeout=LOADS_SECONDS)
        if answer.status_code != 200:
            return None
        names = ("num_running_reqs", "num_waiting_reqs", "num_used_tokens")
        return not any(load[name] for load in answer.json()["loads"] for name in names)

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        """/abort_request matches by prefix and ignores unknown ids silently. A prefix of nothing
        would abort everybody's requests (sglang-kt 0.7.2 scheduler.py:2823)."""
        if not rid:
            return False
        return http.post(f"{url}/abort_request", json={"rid": rid}).status_code == 200


def _pieces(text: str) -> list[str]:
    pieces, start = [], 0
    while start < len(text):
        end = min(start + PIECE_CHARACTERS, len(text))
        newline = text.rfind("\n", start, end)
        if end < len(text) and newline > start:
            end = newline + 1
        pieces.append(text[start:end])
        start = end
    return pieces
