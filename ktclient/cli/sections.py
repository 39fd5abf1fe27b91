"""The commands of `ktjob --help`, by what they are for, each with a line that fits."""

from __future__ import annotations

import click

_SECTIONS: dict[str, dict[str, str]] = {
    "Ask": {
        "submit": "hand over a document and return at once",
        "check": "does it fit, and how long will it take? stores nothing",
        "ask": "another question about a job's document",
        "batch": "a file of requests in OpenAI's Batch format",
        "templates": "prompts with a name, yours and ours",
    },
    "Look": {
        "status": "what runs, what waits and why, what ended; -w goes on",
        "list": "find jobs, by state, time, label or the words in them",
        "wait": "until a job has ended, with its progress",
        "follow": "progress, then the answer as it is written",
        "result": "the answer",
        "open": "the answer or the document in a pager; or their paths",
        "show": "all of a job: attempts, figures, why, what to type next",
        "logs": "what happened, step by step",
        "events": "the same as JSON lines; -f goes on",
    },
    "Change": {
        "cancel": "end a job",
        "retry": "once more, without asking again what was answered",
        "rm": "forget jobs that have ended",
        "gc": "forget old ones, and give the disk its space back",
        "backup": "copy the database while it is in use",
    },
    "Set up": {
        "config": "servers, keys and defaults: show, check, set",
        "doctor": "what on this machine can end or lose jobs",
        "paths": "where things are",
        "notify": "try a notification",
        "install-unit": "go on after a reboot, by systemd",
        "completion": "for bash, zsh and fish",
        "schema": "the JSON Schema of all that --json prints",
    },
}


class Sections(click.Group):
    """A group whose help has its commands in sections; those that are in none come last."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        left = {name for name, command in self.commands.items() if not command.hidden}
        for title, lines in _SECTIONS.items():
            rows = [(name, words) for name, words in lines.items() if name in left]
            left -= lines.keys()
            with formatter.section(title):
                formatter.write_dl(rows)
        rest = [(name, self.commands[name].get_short_help_str()) for name in sorted(left)]
        if rest:
            with formatter.section("More"):
                formatter.write_dl(rest)
