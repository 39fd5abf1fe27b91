"""Every place in the code where JSON, TOML or Python text is parsed, and whose text that is.

A new place is not in `PLACES`: then a test fails until it uses `jobs.parsing`, or is listed here
with the reason why it needs no bounds, or has its own.
"""

from __future__ import annotations

import ast

PARSERS = {"json", "tomllib", "tomli", "tomlkit", "yaml", "ast", "pickle", "marshal", "plistlib"}
"""Modules whose functions parse text."""
CALLS = {
    *("load", "loads", "parse", "value", "JSONDecoder", "raw_decode", "literal_eval", "safe_load"),
}

OURS = "ours: a state directory's own data, written by ktjob"
BOUNDED = "bounded: "
PLACES: dict[str, dict[str, str]] = {
    "jobs.parsing": {
        "json.loads": BOUNDED + "here",
        "tomllib.loads": BOUNDED + "here",
    },
    "jobs.processes.detach": {"json.loads": OURS},
    "jobs.processes.identity": {"json.loads": OURS},
    "jobs.store.database": {"json.loads": OURS},
    "jobs.store.files.opening": {"json.loads": OURS},
    "jobs.store.http.requests": {"json.loads": OURS},
    "jobs.store.rows": {"json.loads": OURS},
    "jobs.system.systemd_unit": {"json.loads": BOUNDED + "one string on one line of a unit file"},
    "ktclient.batch.result_files": {"json.loads": OURS},
    "ktclient.batch.tool_calls": {"json.loads": OURS},
    "ktclient.batch.spec": {"json.loads": OURS},
    "ktclient.cli.jobs.show": {"json.loads": OURS},
    "ktclient.cli.render.part_tree": {"json.loads": OURS},
    "ktclient.config.edit": {
        "tomlkit.parse": BOUNDED + "by config.file.parse, before it",
        "tomlkit.value": BOUNDED + "by parsing.of_toml, before it",
    },
    "ktclient.documents.formats.allowance": {"json.loads": "ours: an argument of our own child"},
    "ktclient.documents.formats.child_process": {"json.loads": "ours: our own child's first line"},
    "ktclient.documents.formats.notebook": {
        "json.loads": BOUNDED + "in the reader's process; it bears deep nesting",
    },
    "ktclient.exports.record": {"json.loads": OURS},
    "ktclient.gateway.batches.results": {"json.loads": OURS},
    "ktclient.gateway.chat.reading": {"json.loads": OURS},
    "ktclient.gateway.responses.response": {"json.loads": OURS},
    "ktclient.gateway.responses.stored_items": {"json.loads": OURS},
    "ktclient.gateway.responses.stored_texts": {"json.loads": OURS},
    "ktclient.gateway.page.job": {"json.loads": OURS},
    "ktclient.notify.delivery": {"json.loads": OURS},
    "ktclient.prompts.answer_schema": {
        "json.loads": OURS + ", or just written by json.dumps",
        "json.JSONDecoder": BOUNDED + "`_loads` and `data` bear deep nesting and long numbers",
        "_DECODER.raw_decode": BOUNDED + "likewise",
    },
    "ktclient.prompts.combined": {
        "json.JSONDecoder": BOUNDED + "`_pairs` bears deep nesting",
        "_DECODER.raw_decode": BOUNDED + "likewise",
    },
    "ktclient.planning.beginning": {"json.loads": OURS},
    "ktclient.records.blocks": {"json.loads": OURS},
    "ktclient.records.kinds": {"json.loads": OURS},
    "ktclient.records.search": {"json.loads": OURS},
    "ktclient.records.server_load": {"json.loads": OURS},
    "ktclient.records.snapshot": {"json.loads": OURS},
    "ktclient.records.thinking": {"json.loads": OURS},
    "ktclient.request.body": {"json.loads": OURS},
    "ktclient.request.body_marks": {"json.loads": BOUNDED + "`_arguments` bears deep nesting"},
    "ktclient.request.error_bodies": {
        "json.loads": BOUNDED + "within an error's text; a nesting too deep is none"
    },
    "ktclient.request.incoming.frames": {
        "json.loads": BOUNDED + "4 MiB; a nesting too deep is no JSON",
        "json.JSONDecoder": BOUNDED + "the same",
        "_DECODER.raw_decode": BOUNDED + "the same",
    },
    "ktclient.request.filters": {"json.loads": "ours: pieces that the reader has just written"},
    "ktclient.request.short_client": {"json.loads": "ours: what was parsed before, written again"},
    "ktclient.servers.poll_lease": {"json.loads": OURS},
    "ktclient.servers.question_limit": {"json.loads": OURS},
    "ktclient.submission.spec": {"json.loads": OURS},
    "ktclient.tokens.kimi": {
        "ast.literal_eval": BOUNDED + "`_NOT_KNOWN` has all that it raises",
        "ast.parse": BOUNDED + "`_NOT_KNOWN` has all that it raises",
        "json.loads": BOUNDED + "`_NOT_KNOWN` has all that it raises",
    },
    "ktclient.tokens.ranks": {"json.loads": "ours: a file with our own digest"},
    "ktclient.tokens.special_tokens": {
        "json.JSONDecoder": BOUNDED + "`of_folder` bears deep nesting",
        "json.JSONDecoder().raw_decode": BOUNDED + "likewise",
    },
    "ktclient.tokens.tokenizer_json": {"json.loads": BOUNDED + "`_NOT_KNOWN` has all it raises"},
    "server_bundle.doctor.inside.imports": {"json.loads": "ours: the doctor's own request"},
    "server_bundle.doctor.inside.installed": {
        "ast.parse": BOUNDED + "1 MB of a package's own module, read in the server's interpreter",
    },
    "server_bundle.launch.http_probe": {"json.loads": BOUNDED + "MOST_BYTES, and deep nesting"},
    "server_bundle.launch.running_note": {"json.loads": OURS},
    "server_bundle.launch.server_state": {"json.loads": OURS},
    "server_bundle.logs.catalogue": {"tomllib.loads": "ours: a file of the package"},
    "server_bundle.package_data": {"tomllib.loads": "ours: a file of the package"},
}


def calls(tree: ast.Module) -> set[str]:
    """The calls of a module that parse text."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        words = ast.unparse(node.func)
        owner, _, name = words.rpartition(".")
        if name in CALLS and (owner in PARSERS or name in ("raw_decode", "JSONDecoder")):
            found.add(words)
    return found


def bare_imports(tree: ast.Module) -> set[str]:
    """Functions that are imported by name, so that `calls` would not see them."""
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in PARSERS
        for alias in node.names
    } & CALLS
