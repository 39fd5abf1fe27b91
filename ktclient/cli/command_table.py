"""The commands of both programs in one table: where each lives, and what `--help` says of it.

A command's module is imported when that command is called, helped or completed, never for another
one: `ktjob --help`, `--version` and the completion of names read this table alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

HIDDEN = ""
"""The section of a command that `--help` does not list."""


class Entry(NamedTuple):
    """What is known of a command before its module is imported."""

    where: str
    """Its module and the name in it: "package.module:name"."""
    section: str
    """The heading below which `--help` lists it; `HIDDEN` for none."""
    summary: str
    """One line, the verb first, that fits 80 columns beside the longest name of its section."""
    examples: tuple[str, ...]
    """Command lines for the end of its own `--help`. A test parses every one of them."""
    inner: Mapping[str, tuple[str, ...]] = {}
    """The examples of each command below it, by its name or names, where it is a group."""


KTJOB: dict[str, Entry] = {
    "submit": Entry(
        "ktclient.cli.jobs.submit:submit",
        "Ask",
        "Submit a document as a background job",
        (
            "ktjob submit report.txt --summarize --wait",
            'ktjob submit book.txt --ask "Who dies?" --ask "Who lives?" --server gpu1',
            "curl -fsSL https://www.gutenberg.org/ebooks/2600.txt.utf-8 | ktjob submit -",
        ),
    ),
    "check": Entry(
        "ktclient.cli.jobs.check:check",
        "Ask",
        "Check whether a document fits and how long it takes",
        ("ktjob check book.txt", "ktjob check book.txt --max-tokens 4000 --json"),
    ),
    "ask": Entry(
        "ktclient.cli.jobs.ask:ask",
        "Ask",
        "Ask another question about a job's document",
        ('ktjob ask k7m2p9qx "And who lives?" --wait',),
    ),
    "batch": Entry(
        "ktclient.cli.jobs.batch:batch",
        "Ask",
        "Submit a file of requests in OpenAI's Batch format",
        ("ktjob batch requests.jsonl -o results.jsonl --wait",),
    ),
    "serve": Entry(
        "ktclient.cli.gateway.serve:serve",
        "Ask",
        "Serve OpenAI's HTTP interface: each request is a job",
        ("ktjob serve", "ktjob serve --port 9000"),
        {
            "keys add": (
                "ktjob serve keys add alice --expires 30d",
                "ktjob serve keys add monitor --admin",
            ),
            "keys list": ("ktjob serve keys list",),
            "keys rm": ("ktjob serve keys rm alice",),
        },
    ),
    "templates": Entry(
        "ktclient.cli.jobs.templates:templates",
        "Ask",
        "List prompt templates (built-in and custom)",
        ("ktjob templates",),
    ),
    "status": Entry(
        "ktclient.cli.jobs.status:status",
        "Look",
        "Show running, queued and recent jobs (-w: keep watching)",
        ("ktjob status", "ktjob status k7m2p9qx --json"),
    ),
    "list": Entry(
        "ktclient.cli.jobs.list:list_",
        "Look",
        "List jobs, filtered by state, time, label or text",
        ("ktjob list", "ktjob list --json"),
    ),
    "wait": Entry(
        "ktclient.cli.jobs.wait:wait",
        "Look",
        "Wait for jobs to end and show their progress",
        ("ktjob wait k7m2p9qx", "ktjob wait @last --print", "ktjob wait --label nightly"),
    ),
    "follow": Entry(
        "ktclient.cli.jobs.follow:follow",
        "Look",
        "Show progress, then the answer as it is generated",
        ("ktjob follow k7m2p9qx", "ktjob follow k7m2p9qx --tail"),
    ),
    "result": Entry(
        "ktclient.cli.jobs.result:result",
        "Look",
        "Print answers",
        ("ktjob result k7m2p9qx", "ktjob result --label nightly -o answers.md"),
    ),
    "open": Entry(
        "ktclient.cli.jobs.open:open_",
        "Look",
        "Open a job's answer, document or log, or print its path",
        ("ktjob open k7m2p9qx", 'less "$(ktjob open k7m2p9qx log --path)"'),
    ),
    "show": Entry(
        "ktclient.cli.jobs.show:show",
        "Look",
        "Show jobs in detail: attempts, figures, next steps",
        ("ktjob show k7m2p9qx", "ktjob show --state failed --since 1d"),
    ),
    "logs": Entry(
        "ktclient.cli.jobs.logs:logs",
        "Look",
        "Show a job's events and its worker's log",
        ("ktjob logs k7m2p9qx",),
    ),
    "events": Entry(
        "ktclient.cli.jobs.events:events",
        "Look",
        "Stream job events as JSON lines (-f: follow)",
        ("ktjob events --follow", "ktjob events k7m2p9qx"),
    ),
    "servers": Entry(
        "ktclient.cli.setup.servers:servers",
        "Look",
        "Show servers: health, model, window, KV pool, own jobs, speed",
        ("ktjob servers", "ktjob servers --json"),
    ),
    "models": Entry(
        "ktclient.cli.setup.models:models",
        "Look",
        "List the models that the servers serve",
        ("ktjob models", "ktjob models --json"),
    ),
    "pause": Entry(
        "ktclient.cli.jobs.pause:pause",
        "Queue",
        "Start no more jobs: none at all, or none of a server",
        ("ktjob pause", "ktjob pause --server gpu1", "ktjob pause --status"),
    ),
    "resume": Entry(
        "ktclient.cli.jobs.resume:resume",
        "Queue",
        "End a pause",
        ("ktjob resume", "ktjob resume --server gpu1", "ktjob resume --all"),
    ),
    "hold": Entry(
        "ktclient.cli.jobs.hold:hold",
        "Queue",
        "Keep queued jobs from starting until they are released",
        ("ktjob hold k7m2p9qx a3b4c5d6",),
    ),
    "release": Entry(
        "ktclient.cli.jobs.release:release",
        "Queue",
        "Let held jobs start",
        ("ktjob release k7m2p9qx",),
    ),
    "priority": Entry(
        "ktclient.cli.jobs.priority:priority",
        "Queue",
        "Change which queued jobs start first",
        ("ktjob priority k7m2p9qx --first", "ktjob priority k7m2p9qx --to -5"),
    ),
    "edit": Entry(
        "ktclient.cli.jobs.edit:edit",
        "Queue",
        "Change what a queued job asks, its limits, server or time",
        ('ktjob edit k7m2p9qx --ask "And who lives?" --max-tokens 2000',),
    ),
    "cancel": Entry(
        "ktclient.cli.jobs.cancel:cancel",
        "Change",
        "Cancel queued or running jobs",
        ("ktjob cancel k7m2p9qx", "ktjob cancel --label nightly --state queued"),
    ),
    "retry": Entry(
        "ktclient.cli.jobs.retry:retry",
        "Change",
        "Retry failed, lost or cancelled jobs (finished parts are reused)",
        ("ktjob retry k7m2p9qx", "ktjob retry --state failed --since 1d"),
    ),
    "rerun": Entry(
        "ktclient.cli.jobs.rerun:rerun",
        "Change",
        "Run any job again, with other options",
        ("ktjob rerun k7m2p9qx --server gpu2", "ktjob rerun k7m2p9qx --max-tokens 4000 --wait"),
    ),
    "rm": Entry(
        "ktclient.cli.jobs.rm:rm",
        "Change",
        "Delete finished jobs",
        ("ktjob rm k7m2p9qx a3b4c5d6", "ktjob rm --state failed --until 30d"),
    ),
    "gc": Entry(
        "ktclient.cli.jobs.gc:gc",
        "Change",
        "Delete old jobs and reclaim disk space",
        ("ktjob gc --older-than 30d --dry-run", "ktjob gc --keep-size 2GB"),
    ),
    "export": Entry(
        "ktclient.cli.jobs.export:export",
        "Change",
        "Write ended jobs to a file: Markdown, HTML, CSV, JSON",
        (
            "ktjob export --label nightly -o answers.html",
            "ktjob export --all --with-documents -o jobs.jsonl",
        ),
    ),
    "import": Entry(
        "ktclient.cli.jobs.import_:import_",
        "Change",
        "Store the jobs of an exported file as ended jobs",
        ("ktjob import jobs.jsonl",),
    ),
    "backup": Entry(
        "ktclient.cli.jobs.backup:backup",
        "Change",
        "Copy the database while it is in use",
        ("ktjob backup ktjob-backup.db",),
    ),
    "adopt": Entry(
        "ktclient.cli.jobs.adopt:adopt",
        "Change",
        "Run the jobs of a copied state directory here",
        ("ktjob adopt",),
    ),
    "config": Entry(
        "ktclient.cli.setup.config:config_",
        "Set up",
        "Show, check and change settings, servers and keys",
        (),
        {
            "show": ("ktjob config show",),
            "check": ("ktjob config check",),
            "path": ("ktjob config path",),
            "init": ("ktjob config init",),
            "set": (
                "ktjob config set servers.gpu1.url https://gpu1.example",
                "ktjob config set defaults.max_tokens 2048",
            ),
            "unset": ("ktjob config unset defaults.max_tokens",),
            "edit": ("EDITOR=nano ktjob config edit",),
            "key": ("ktjob config key gpu1", "pass show gpu1 | ktjob config key gpu1"),
        },
    ),
    "doctor": Entry(
        "ktclient.cli.setup.doctor:doctor",
        "Set up",
        "Find what on this machine can end or lose jobs",
        ("ktjob doctor",),
    ),
    "paths": Entry(
        "ktclient.cli.setup.paths:paths",
        "Set up",
        "Print where files are: database, logs, configuration",
        ("ktjob paths", 'sqlite-utils tables "$(ktjob paths database)"'),
    ),
    "notify": Entry(
        "ktclient.cli.setup.notify:notify",
        "Set up",
        "Send a test notification",
        ("ktjob notify phone",),
    ),
    "install-unit": Entry(
        "ktclient.cli.setup.install_unit:install_unit",
        "Set up",
        "Install a systemd unit that resumes jobs after a reboot",
        ("ktjob install-unit --dry-run",),
    ),
    "completion": Entry(
        "ktclient.cli.setup.completion:completion",
        "Set up",
        "Print the completion script for bash, zsh or fish",
        ("source <(ktjob completion bash)", "ktjob completion fish | source"),
    ),
    "schema": Entry(
        "ktclient.cli.setup.schema:schema",
        "Set up",
        "Print the JSON Schema of everything that --json prints",
        ("ktjob schema",),
    ),
    "at-your-service": Entry(
        "ktclient.cli.remote.serve:at_your_service", HIDDEN, "Serve --host (internal)", ()
    ),
}
"""The commands of `ktjob`, in the order of its `--help`."""

KTSERVER: dict[str, Entry] = {
    "up": Entry(
        "ktclient.cli.server.up:up",
        "Run",
        "Start a server and wait until it is ready",
        ("ktserver up", "ktserver up --model /data/DeepSeek-V4-Flash --dry-run"),
    ),
    "restart": Entry(
        "ktclient.cli.server.restart:restart",
        "Run",
        "Stop a server and start it again with the same options",
        ("ktserver restart deepseek-v4-flash-4x5090",),
    ),
    "down": Entry(
        "ktclient.cli.server.down:down",
        "Run",
        "Stop a server after its running requests",
        ("ktserver down deepseek-v4-flash-4x5090 --timeout 600",),
    ),
    "status": Entry(
        "ktclient.cli.server.status:status",
        "Look",
        "Show servers: running, stopped and crashed",
        ("ktserver status", "ktserver status --json"),
    ),
    "logs": Entry(
        "ktclient.cli.server.logs:logs",
        "Look",
        "Print the end of a server's log (-f: follow)",
        ("ktserver logs --follow",),
    ),
    "explain": Entry(
        "ktclient.cli.server.explain:explain",
        "Look",
        "Explain a failure from the server's log",
        ("ktserver explain server.log", "ktserver explain --last"),
    ),
    "install": Entry(
        "ktclient.cli.server.install:install",
        "Prepare",
        "Install an engine in a Python environment of its own",
        (
            "ktserver install --dry-run",
            "ktserver install sglang-kt==0.7.2 --python 3.12",
            "ktserver install --list",
        ),
    ),
    "fetch": Entry(
        "ktclient.cli.server.fetch:fetch",
        "Prepare",
        "Fetch a model's weights from a hub, resumed and checked",
        (
            "ktserver fetch deepseek-ai/DeepSeek-V4-Flash-0731 --to /data/v4 --detach",
            "ktserver fetch modelscope:Qwen/Qwen3-8B --dry-run",
            "ktserver fetch --status",
        ),
    ),
    "plan": Entry(
        "ktclient.cli.server.plan:plan",
        "Prepare",
        "Show the command line for a server and the reason for each flag",
        (
            "ktserver plan --model /data/DeepSeek-V4-Flash",
            "ktserver plan --compare -- kt run /data/DeepSeek-V4-Flash",
        ),
    ),
    "profiles": Entry(
        "ktclient.cli.server.profiles:profiles",
        "Prepare",
        "List server profiles, or explain one",
        ("ktserver profiles",),
        {
            "list": ("ktserver profiles list",),
            "show": ("ktserver profiles show deepseek-v4-flash-4x5090",),
        },
    ),
    "doctor": Entry(
        "ktclient.cli.server.doctor:doctor",
        "Prepare",
        "Find what would keep a server from starting or slow it down",
        ("ktserver doctor --model /data/DeepSeek-V4-Flash",),
    ),
    "completion": Entry(
        "ktclient.cli.setup.completion:completion",
        "Set up",
        "Print the completion script for bash, zsh or fish",
        ("source <(ktserver completion bash)",),
    ),
}
"""The commands of `ktserver`, in the order of its `--help`."""

PROGRAMS: dict[str, dict[str, Entry]] = {"ktjob": KTJOB, "ktserver": KTSERVER}
