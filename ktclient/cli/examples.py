"""The examples at the end of each command's `--help`. A test parses every one of them."""

from __future__ import annotations

import click

_EXAMPLES = {
    "ktjob submit": (
        "ktjob submit report.txt --summarize --wait",
        'ktjob submit book.txt --ask "Who dies?" --ask "Who lives?" --server gpu1',
        "curl -fsSL https://www.gutenberg.org/ebooks/2600.txt.utf-8 | ktjob submit -",
    ),
    "ktjob check": ("ktjob check book.txt", "ktjob check book.txt --max-tokens 4000 --json"),
    "ktjob ask": ('ktjob ask k7m2p9qx "And who lives?" --wait',),
    "ktjob batch": ("ktjob batch requests.jsonl -o results.jsonl --wait",),
    "ktjob status": ("ktjob status", "ktjob status k7m2p9qx --json"),
    "ktjob list": ("ktjob list", "ktjob list --json"),
    "ktjob wait": ("ktjob wait k7m2p9qx", "ktjob wait k7m2p9qx --timeout 60"),
    "ktjob follow": ("ktjob follow k7m2p9qx", "ktjob follow k7m2p9qx --tail"),
    "ktjob result": ("ktjob result k7m2p9qx", "ktjob result k7m2p9qx -o summary.md"),
    "ktjob templates": ("ktjob templates",),
    "ktjob show": ("ktjob show k7m2p9qx",),
    "ktjob open": ("ktjob open k7m2p9qx", 'less "$(ktjob open k7m2p9qx log --path)"'),
    "ktjob schema": ("ktjob schema",),
    "ktjob notify": ("ktjob notify phone",),
    "ktjob logs": ("ktjob logs k7m2p9qx",),
    "ktjob events": ("ktjob events --follow", "ktjob events k7m2p9qx"),
    "ktjob cancel": ("ktjob cancel k7m2p9qx",),
    "ktjob retry": ("ktjob retry k7m2p9qx",),
    "ktjob rm": ("ktjob rm k7m2p9qx a3b4c5d6",),
    "ktjob gc": ("ktjob gc --older-than 30d --dry-run", "ktjob gc --keep-size 2GB"),
    "ktjob backup": ("ktjob backup ktjob-backup.db",),
    "ktjob config show": ("ktjob config show",),
    "ktjob config check": ("ktjob config check",),
    "ktjob config path": ("ktjob config path",),
    "ktjob config init": ("ktjob config init",),
    "ktjob config set": (
        "ktjob config set servers.gpu1.url https://gpu1.example",
        "ktjob config set defaults.max_tokens 2048",
    ),
    "ktjob config unset": ("ktjob config unset defaults.max_tokens",),
    "ktjob config edit": ("EDITOR=nano ktjob config edit",),
    "ktjob config key": ("ktjob config key gpu1", "pass show gpu1 | ktjob config key gpu1"),
    "ktjob paths": ("ktjob paths", 'sqlite-utils tables "$(ktjob paths database)"'),
    "ktjob completion": ("source <(ktjob completion bash)", "ktjob completion fish | source"),
    "ktjob doctor": ("ktjob doctor",),
    "ktjob install-unit": ("ktjob install-unit --dry-run",),
    "ktserver up": ("ktserver up", "ktserver up --model /data/DeepSeek-V4-Flash --dry-run"),
    "ktserver status": ("ktserver status", "ktserver status --json"),
    "ktserver logs": ("ktserver logs --follow",),
    "ktserver restart": ("ktserver restart deepseek-v4-flash-4x5090",),
    "ktserver down": ("ktserver down deepseek-v4-flash-4x5090 --timeout 600",),
    "ktserver doctor": ("ktserver doctor --model /data/DeepSeek-V4-Flash",),
    "ktserver explain": ("ktserver explain server.log", "ktserver explain --last"),
    "ktserver plan": ("ktserver plan --model /data/DeepSeek-V4-Flash",),
    "ktserver profiles": ("ktserver profiles",),
    "ktserver profiles list": ("ktserver profiles list",),
    "ktserver profiles show": ("ktserver profiles show deepseek-v4-flash-4x5090",),
    "ktserver completion": ("source <(ktserver completion bash)",),
}


def of(name: str) -> tuple[str, ...]:
    """The examples of a command, by its whole name."""
    return _EXAMPLES.get(name, ())


def attach(group: click.Group, name: str) -> None:
    """Put them below the options of each command of a group."""
    for short, command in group.commands.items():
        whole = f"{name} {short}"
        if isinstance(command, click.Group):
            attach(command, whole)
        if lines := of(whole):
            listed = "\n".join(f"  {line}" for line in lines)
            before = f"{command.epilog}\n\n" if command.epilog else ""
            command.epilog = f"{before}\b\nExamples:\n{listed}"
