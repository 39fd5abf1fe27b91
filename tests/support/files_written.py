"""Every place in the code that makes or writes a file or folder, found in the source.

`jobs.draft`, `jobs.named_file` and `jobs.private_folder` are the ways that need no reason. Any
other place is in `PLACES` with its reason, or a test fails.
"""

from __future__ import annotations

import ast
import re

DOORS = {"jobs.draft", "jobs.named_file", "jobs.private_folder"}
"""What is done here is tested for its own sake (`tests/faults/test_files_written.py`)."""

ANYWHERE = {
    *("write_text", "write_bytes", "mkdir", "makedirs", "touch", "mkfifo", "mknod", "chmod"),
    *("fchmod", "lchmod", "chown", "fchown", "lchown", "setxattr", "symlink", "symlink_to"),
    *("hardlink_to", "truncate", "ftruncate", "posix_fallocate", "sendfile", "umask"),
    *("NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory", "SpooledTemporaryFile"),
    *("mkstemp", "mkdtemp", "mktemp", "copyfile", "copyfileobj", "copytree", "copy2", "copymode"),
    *("copystat", "FileHandler", "RotatingFileHandler", "extractall", "extract", "renames"),
    *("rename", "make_archive", "unpack_archive"),
}
"""Calls that make or change a file, whatever they are called on."""
OF_OS = {"os.replace", "os.link", "shutil.copy", "shutil.move", "sqlite3.connect"}
_CLASS = re.compile(r"\b[A-Z]\w+\.open$")
OPENERS = {"open", "os.open", "os.fdopen", "io.open", "codecs.open", "gzip.open"}
WRITING_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE"}

PLACES: dict[str, dict[str, str]] = {
    "jobs.processes.doorbell": {
        "os.open": "a pipe, opened without blocking",
        "os.mkfifo": "in the state directory, by the runner, whose umask is 077",
    },
    "jobs.processes.identity": {
        "os.ftruncate": "a lock that this process holds",
    },
    "jobs.processes.ownership": {
        "os.open": "a lock or log of the state directory, which other processes have open",
        "path.chmod": "the same, made private",
        "os.fchown": "given to the owner of its folder",
    },
    "jobs.processes.detach": {
        "os.umask": "of a process that has just been started",
        "os.fdopen": "a pipe to the process that is being started",
    },
    "jobs.store.database": {
        "self.state.worker_lock(row['id']).touch": "an empty lock",
    },
    "jobs.store.files.backup": {"sqlite3.connect": "a draft"},
    "jobs.store.files.opening": {
        "os.open": "the database, made private before SQLite opens it",
        "sqlite3.connect": "the database",
    },
    "jobs.store.state_dir": {"folder.chmod": "the state directory, made private"},
    "jobs.system.no_room": {"os.open": "a file without a name"},
    "jobs.upkeep.log_rotation": {"os.replace": "a log of the state directory"},
    "server_bundle.doctor.inside.imports": {
        "tempfile.TemporaryDirectory": "a private folder of random name",
        "source.write_text": "in that folder, by the server's interpreter",
        "kernel.write_text": "in that folder, by the server's interpreter",
    },
    "server_bundle.embedded.server": {"os.replace": "a log of the server's folder"},
    "server_bundle.embedded.weights": {
        "said.open": "in a private folder of random name",
        "archive.open": "a member, read",
        "target.open": "in a private folder of random name, and made private",
        "os.fchmod": "the same file",
        "os.replace": "checked and synced",
    },
    "server_bundle.install.http": {"opener.open": "a request, no file"},
    "server_bundle.install.installer": {"said.open": "in a private folder of the installation"},
    "server_bundle.install.source": {"self._requests.open": "a request, no file"},
    "server_bundle.launch.http_probe": {
        "urllib.request.build_opener(*handlers).open": "a request, no file",
    },
    "server_bundle.launch.log_rotation": {
        "shutil.copyfileobj": "to a draft",
        "os.truncate": "the log that the server writes to",
    },
    "server_bundle.weights.fetch": {"to.mkdir": "the folder that the user named, by the umask"},
    "server_bundle.weights.folder": {
        "one.mkdir": "a folder of the repository, in that folder",
        "one.chmod": "the same, with that folder's mode",
    },
    "server_bundle.transfers.file": {
        "os.open": "a partial file in the folder of the run; no link is followed",
        "os.fchmod": "the same file",
        "out.truncate": "the same file",
        "os.fdopen": "the same file",
        "os.replace": "checked and synced",
    },
    "server_bundle.launch.start": {"os.replace": "a log of the server's folder"},
    "ktclient.api.remote_job": {
        "tempfile.TemporaryDirectory": "a private folder of random name",
        "open": "in that folder",
    },
    "ktclient.cli.remote.serve": {
        "os.umask": "of a process of its own",
        "tempfile.TemporaryDirectory": "a private folder of random name",
        "Path(path).open": "in that folder, and only a new file",
    },
    "ktclient.cli.remote.uploads": {
        "tempfile.TemporaryFile": "a file without a name",
        "shutil.copyfileobj": "to that file",
    },
    "ktclient.cli.standard_streams": {"open": "a descriptor", "os.open": "/dev/null"},
    "ktclient.documents.formats.markup.tables": {"feet[0].extract": "an element, in memory"},
    "ktclient.documents.formats.office.slides": {"xml.replace": "an element, in memory"},
    "ktclient.documents.formats.office.word": {"xml.replace": "an element, in memory"},
    "ktclient.documents.formats.office.xml": {"zipfile.ZipFile": "in memory"},
    "ktclient.exports.file": {"os.fdopen": "a descriptor that is open already"},
    "ktclient.remote.ssh": {"tempfile.TemporaryFile": "a file without a name"},
    "ktclient.tokens.model_file": {"os.open": "only read"},
}
"""Module -> call -> why it is not one of `DOORS`."""


def calls(tree: ast.Module) -> set[str]:
    """The calls in a module that make, write, rename or change a file or folder."""
    return {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _writes(node)
    }


def _writes(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    if name in OF_OS or last in ANYWHERE:
        return True
    if name == "os.open":
        return _has_writing_flags(call)
    if name in OPENERS:
        return _mode_writes(call, 1)
    if name == "zipfile.ZipFile":
        return _mode_writes(call, 1)
    if last == "open" and not _CLASS.search(name):  # of a Path
        return _mode_writes(call, 0)
    return last == "replace" and len(call.args) == 1 and not call.keywords  # of a Path, not a str


def _has_writing_flags(call: ast.Call) -> bool:
    """Flags that are not spelled out may be any."""
    flags = [*call.args[1:2], *(key.value for key in call.keywords)]
    nodes = [node for one in flags for node in ast.walk(one)]
    is_unknown = any(isinstance(node, ast.Name) and node.id != "os" for node in nodes)
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return is_unknown or bool(names & WRITING_FLAGS)


def _mode_writes(call: ast.Call, at: int) -> bool:
    modes = [key.value for key in call.keywords if key.arg == "mode"] + call.args[at : at + 1]
    for mode in modes:
        if not isinstance(mode, ast.Constant) or not isinstance(mode.value, str):
            return True
        if set(mode.value) & set("wax+"):
            return True
    return False
