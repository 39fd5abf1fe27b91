"""`ktjob --host`: run commands on another machine and print their output here."""

from __future__ import annotations

import secrets

import click

from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import selection
from ktclient.cli.remote import replies, uploads
from ktclient.cli.render import answer_text, job_details
from ktclient.cli.render import output as render_output
from ktclient.config import settings as config
from ktclient.errors import BadInput
from ktclient.records import written_files
from ktclient.records.written_files import Output
from ktclient.remote import call as remote_call
from ktclient.remote import far_values, ssh

ALL = "all"
"""As the name of a machine: all that are configured, unless one is called so."""
_ONCE = ("ask", "rerun", "edit", "rm", "gc", "backup", "notify", "install-unit", "config")
"""Commands that are not repeated if the connection broke after they were sent: they may have run,
and running them twice costs twice."""


def run(group: click.Group, context: click.Context, name: str, words: list[str]) -> int:
    """Run a command line on another machine. Returns its exit code."""
    command_name, command, rest = group.resolve_command(context, words)
    assert command_name is not None and command is not None
    settings = config.load()
    if name == ALL and name not in ssh.configured(settings):
        from ktclient.cli.remote import all_hosts

        return all_hosts.run(command, context, [command_name, *rest], settings)
    host = ssh.host(name, settings)
    if isinstance(command, click.Group):
        return _Remote(host, context).plain([command_name, *rest], is_once=True)
    with command.make_context(command_name, list(rest), parent=context) as inner:
        return _Remote(host, inner).run(command_name, list(rest))


class _Remote:
    """Runs one command on one machine."""

    def __init__(self, host: ssh.Host, context: click.Context) -> None:
        self._host, self._context = host, context
        self._given = context.params
        self._is_typed = context.find_root().params["host"] is not None

    def run(self, name: str, rest: list[str]) -> int:
        """Run the command in the way that suits its output and files. Returns its exit code."""
        if name in ("submit", "check"):
            return self._with_documents(name)
        if name == "batch":
            raise BadInput(
                f"batch reads and writes local files: run it on {self._host.name} itself"
            )
        if name == "export":
            return self._export()
        if name == "import":
            return self._import()
        if name == "result" and not answer_text.is_stdout(self._given["output"]):
            return self._result_into(str(self._given["output"]))
        if name == "follow":
            return self._follow()
        argv = [name, *rest]
        if name == "events" and self._given["follow"]:
            return self._call(argv, replies.events())
        if name == "status" and self._given["watch"]:
            return self._call(argv, replies.live())
        if name == "wait":
            return self._wait(argv)
        return self.plain(argv, is_once=name in _ONCE)

    def plain(self, argv: list[str], *, is_once: bool = False) -> int:
        """Run a command and print its complete output at the end."""
        held = replies.Held()
        code = self._call(argv, held.hearing, is_repeatable=not is_once)
        render_output.print_part(held.text)
        return code

    def _call(
        self,
        argv: list[str],
        heard: remote_call.Receiver,
        files: tuple[remote_call.Sent, ...] = (),
        *,
        is_repeatable: bool = True,
        known: str = "",
    ) -> int:
        if heard.said is replies.decode and self._is_typed:
            heard.said = replies.Reply(self._host.name)
        argv = ["--host", "", *argv]  # to run there, whatever KTJOB_HOST is there
        if any("\0" in word for word in argv):
            raise BadInput("an argument holds a NUL character")
        call = remote_call.Call(
            self._host,
            argv,
            files,
            is_repeatable,
            known,
            lambda words: render_output.note(f"  {words}"),
        )
        return remote_call.run(call, heard)

    def _wait(self, argv: list[str]) -> int:
        held = replies.Held()
        is_whole = self._given["prints"]  # after a broken connection, no answer is printed twice
        try:
            heard = held.hearing if is_whole else replies.live()
            code = self._call(argv, heard, known=_still_running(self._names))
        except KeyboardInterrupt:
            self._tell_detached("wait", self._names)
            raise
        if is_whole:
            render_output.print_part(held.text)
        return code

    @property
    def _names(self) -> str:
        """The jobs as they were named; empty if they were named by a filter alone."""
        return " ".join(self._given["job_ids"])

    def _follow(self) -> int:
        if len(self._given["job_ids"]) != 1 or selection.is_group(self._given["job_ids"][0]):
            raise BadInput("with --host, follow one job at a time: name its ID, or @last")
        job_id = str(self._given["job_ids"][0])
        heard = replies.Followed(is_tail=bool(self._given["tail"])).hearing
        try:
            return self._call(["follow", "--", job_id], heard, known=_still_running(job_id))
        except KeyboardInterrupt:
            self._tell_detached("follow", job_id)
            raise

    def _tell_detached(self, command: str, names: str) -> None:
        again = f"ktjob --host {self._host.name} {command} {names}"
        if " " in names or not names:
            render_output.note(f"\ndetached; the jobs are still running. Reattach: {again} …")
        else:
            render_output.note(f"\n{job_details.detached(names, again)}")

    def _result_into(self, output: str) -> int:
        """Write the result to a file on this machine."""
        argv = ["result", *uploads.options(self._context, {"output", "as_json", "force"})]
        held = replies.Held()
        code = self._call([*argv, "--", *self._given["job_ids"]], held.hearing)
        if code == exit_codes.SUCCEEDED:
            answer_text.write_file(self._file(argv), held.text.removesuffix("\n"))
        else:
            render_output.note(f"{output} was not written")
        return code

    def _file(self, argv: list[str]) -> Output:
        """The file for what this command line gives there."""
        words = " ".join((self._host.name, *argv, *self._given["job_ids"]))
        return Output(str(self._given["output"]), (words,), bool(self._given["force"]))

    def _export(self) -> int:
        """Write the export to a file on this machine, or print it."""
        from ktclient.exports import file

        output = self._given["output"]
        form = file.format_of(output, self._given["form"])
        options = uploads.options(self._context, {"output", "form", "force"})
        held = replies.Held()
        argv = ["export", *options, f"--format={form}", "--", *self._given["job_ids"]]
        if output is not None:
            written_files.require_replaceable(command_settings.state(), self._file(argv))
        code = self._call(argv, held.hearing)
        if code != exit_codes.SUCCEEDED or output is None:
            render_output.print_part(held.text)
        else:
            file.write(command_settings.state(), self._file(argv), [held.text])
            render_output.note(f"{output}: written")
        return code

    def _import(self) -> int:
        """Send the file along."""
        sent = uploads.Uploads()
        name = sent.add(self._given["file"])
        held = replies.Held()
        argv = ["import", *uploads.options(self._context, set()), "--", name]
        code = self._call(argv, held.hearing, tuple(sent.files))
        render_output.print_part(held.text)
        return code

    def _with_documents(self, name: str) -> int:
        sent = uploads.Uploads()
        sent.documents(self._given["files"])
        argv = [name, *uploads.options(self._context, {"schema", "wait", "key", "as_json"})]
        if self._given["schema"] is not None:
            argv.append(f"--schema={sent.add(self._given['schema'])}")
        if sent.passed_over and not self._given.get("quiet"):
            skipped = wording.count(len(sent.passed_over), "file")
            render_output.note(f"  skipped    {skipped} (not text, or empty)")
        tail, files = ["--", *sent.words], tuple(sent.files)
        if name == "check":
            held = replies.Held()
            as_json = ["--json"] if self._given["as_json"] else []
            code = self._call([*argv, *as_json, *tail], held.hearing, files)
            render_output.print_part(held.text)
            return code
        return self._submit(argv, tail, files)

    def _submit(self, argv: list[str], tail: list[str], files: tuple[remote_call.Sent, ...]) -> int:
        key = self._given["key"] or f"host-{secrets.token_hex(16)}"
        known = (
            "It is not known whether the job was stored there. Submit it again with "
            f"--key {key}: nothing is stored twice"
        )
        wait, as_json = self._given["wait"], self._given["as_json"]
        plain_json = ["--json"] if as_json and not wait else []
        argv = [*argv, f"--key={key}", *plain_json]
        held = replies.Held()
        try:
            code = self._call([*argv, *tail], held.hearing, files, known=known)
        except KeyboardInterrupt:
            render_output.note(f"\n{known}")
            raise
        if code != exit_codes.SUCCEEDED or not wait:
            render_output.print_part(held.text)
            return code
        return self._answers(far_values.ids(held.text), as_json=as_json)

    def _answers(self, ids: list[str], *, as_json: bool) -> int:
        codes, records = [], []
        for number, job_id in enumerate(ids, 1):
            waiting = replies.Held(is_quiet=self._given["quiet"])
            try:
                self._call(["wait", job_id], waiting.hearing, known=_still_running(job_id))
            except KeyboardInterrupt:
                self._tell_detached("wait", job_id)
                raise
            held = replies.Held()
            as_said = ["--json"] if as_json else []
            codes.append(self._call(["result", *as_said, job_id], held.hearing))
            if as_json:
                records.append(far_values.json_object(held.text))
            elif len(ids) == 1:
                render_output.print_part(held.text)
            else:
                render_output.print_part(f"{number}. job {job_id}\n\n{held.text}\n")
        if as_json:
            render_output.print_data(
                job_details.json_text(records[0] if len(records) == 1 else records)
            )
        return next((code for code in codes if code != exit_codes.SUCCEEDED), exit_codes.SUCCEEDED)


def _still_running(names: str) -> str:
    if " " in names or not names:
        return "The jobs are still running there"
    return f"Job {names} is still running there"
