"""llama.cpp's server, ours and others'."""

from __future__ import annotations

import httpx2

NAME = "llama.cpp"


class LlamaCpp:
    """Dialect of llama.cpp's HTTP server."""

    name = NAME
    pulse_path = "/health"

    def extras(self, rid: str) -> dict[str, object]:
        """Progress of the prefill inside the stream."""
        return {"return_progress": True}

    def count(self, http: httpx2.Client, url: str, model: str, message: str) -> int | None:
        """Exact: the rendered chat template through the server's own tokenizer."""
        messages = [{"role": "user", "content": message}]
        rendered = http.post(f"{url}/apply-template", json={"messages": messages})
        if rendered.status_code != 200:
            return None
        body = {"content": rendered.json()["prompt"], "add_special": True, "parse_special": True}
        counted = http.post(f"{url}/tokenize", json=body)
        return len(counted.json()["tokens"]) if counted.status_code == 200 else None

    def is_silent(self, http: httpx2.Client, url: str) -> bool | None:
        """Every slot idle. Not to be asked more than every few seconds: at ten a second it no
        longer noticed that a client had gone."""
        slots = http.get(f"{url}/slots")
        if slots.status_code != 200:
            return None
        return not any(slot["is_processing"] for slot in slots.json())

    def abort(self, http: httpx2.Client, url: str, rid: str) -> bool:
        """It has no abort: it stops within a batch after the connection is closed."""
        return False
