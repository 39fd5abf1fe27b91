"""`ktjob config`, `ktjob paths`: as processes, with a real file, server and keyring."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import commands

Run = Callable[..., "subprocess.CompletedProcess[str]"]
KEY = "sk-very-secret"

BACKEND = '''
import json, os
from pathlib import Path
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    """A keyring in a file, for a test."""
    priority = 1
    file = Path(os.environ["TEST_KEYRING"])
    def _all(self):
        return json.loads(self.file.read_text()) if self.file.exists() else {}
    def get_password(self, service, username):
        return self._all().get(f"{service}/{username}")
    def set_password(self, service, username, password):
        self.file.write_text(json.dumps({**self._all(), f"{service}/{username}": password}))
'''


def keyring_in(folder: Path) -> dict[str, str]:
    """The variables of a keyring in this folder."""
    (folder / "lib").mkdir()
    (folder / "lib" / "test_backend.py").write_text(BACKEND)
    return {
        "PYTHON_KEYRING_BACKEND": "test_backend.Keyring",
        "PYTHONPATH": str(folder / "lib"),
        "TEST_KEYRING": str(folder / "keyring.json"),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


@pytest.fixture
def run(ktjob_command: list[str], ktjob_home: Path, tmp_path: Path) -> Run:
    def run(*args: str, typed: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        done = commands.ran([*ktjob_command, *args], tmp_path, typed, {**os.environ, **environ})
        assert "Traceback" not in done.stderr, done.stderr
        assert KEY not in done.stdout + done.stderr
        return done

    return run


def test_show_says_where_each_value_comes_from(run: Run, folder: Path) -> None:
    """Environment, file or default; a key only as set."""
    (folder / "key").write_text(KEY)
    (folder / "config.toml").write_text(
        '[server]\nurl = "http://a:1"\nmodel = "m"\napi_key_file = "key"\n'
        '[servers.b]\nurl = "http://b:1"\n[defaults]\nmax_tokens = 7\n'
    )
    done = run("config", "show", "--json", KTJOB_MODEL="other")
    told = {one["name"]: (one["value"], one["origin"]) for one in json.loads(done.stdout)}
    assert told["server.url"] == ("http://a:1", "config.toml")
    assert told["server.model"] == ("other", "KTJOB_MODEL")
    assert told["server.api_key"] == (f"set (file {folder / 'key'})", "config.toml")
    assert told["server.parallel"] == (None, "default")
    assert told["servers.b.url"] == ("http://b:1", "config.toml")
    assert told["defaults.max_tokens"] == (7, "config.toml")
    assert told["config"] == (str(folder), "KTJOB_CONFIG")
    table = run("config", "show", KTJOB_API_KEY=KEY).stdout
    assert "server.api_key" in table and "KTJOB_API_KEY" in table


def test_check_asks_each_server(run: Run, folder: Path, tmp_path: Path) -> None:
    """What it says, whether the key is taken, and who may read the key."""
    with fake_sglang(tmp_path, "--require-key", KEY, "--window", "8192") as server:
        key = folder / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        text = f'[servers.gpu1]\nurl = "{server.url}"\napi_key_file = "key"\n'
        (folder / "config.toml").write_text(text)
        good = run("config", "check")
        assert good.returncode == 0, good.stdout
        assert "8,192 tokens" in good.stdout and "key accepted" in good.stdout
        key.chmod(0o644)
        loose = run("config", "check")
        assert loose.returncode == 1 and f"chmod 600 {key}" in loose.stdout
        key.chmod(0o600)
        (folder / "config.toml").write_text(text + 'model = "nobodys"\n')
        unknown = run("config", "check")
        assert unknown.returncode == 1 and "has no model 'nobodys'" in unknown.stdout
        key.write_text("wrong")
        assert "FAIL" in (refused := run("config", "check")).stdout and refused.returncode == 1
    assert run("config", "check").returncode == 1, "nobody answers any more"
    (folder / "config.toml").write_text("[defaults]\nnonsense = 1\n")
    assert "defaults.nonsense" in run("config", "check").stderr


@pytest.mark.promise
def test_check_says_what_others_may_do_with_the_settings(run: Run, folder: Path) -> None:
    """Of the file, the one before it, a key's file and their folder, with what to run; that ends
    it. Settings without secrets that others may read are only worth a warning."""
    embedded = '[server]\nurl = "embedded"\n'
    files = folder / "config.toml", folder / "config.toml.old"
    for file in files:
        file.write_text(embedded)
        file.chmod(0o600)
    assert run("config", "check").returncode == 0
    for file in files:
        for text, mode, code, may in (
            (embedded, 0o644, 0, "read"),
            (embedded, 0o620, 1, "write"),
            (embedded + '[notify]\nme = "json://host/t0ken"\n', 0o640, 1, "read"),
            ('[server]\nurl = "http://me:secret@127.0.0.1:9"\n', 0o666, 1, "read and write"),
        ):
            file.write_text(text)
            file.chmod(mode)
            done = run("config", "check")
            assert f"other users may {may} {file}\n" in done.stdout, done.stdout
            assert f"chmod 600 {file}\n" in done.stdout
            assert done.returncode == code or "http:" in text
            file.write_text(embedded)
            file.chmod(0o600)
    folder.chmod(0o770)
    done = run("config", "check")
    assert done.returncode == 1 and f"chmod go-w {folder}" in done.stdout
    folder.chmod(0o700)
    assert run("config", "check").returncode == 0


@pytest.mark.promise
def test_a_key_file_that_is_no_file_is_not_waited_for(run: Run, folder: Path) -> None:
    """A pipe that nobody writes to, a device without end, a file that is too large for a key."""
    os.mkfifo(folder / "pipe")
    with (folder / "large").open("w") as file:
        file.truncate(1 << 40)
    for name, words in (("pipe", "regular"), ("/dev/zero", "regular"), ("large", "bytes")):
        (folder / "config.toml").write_text(
            f'[server]\nurl = "http://127.0.0.1:9"\napi_key_file = "{name}"\n'
        )
        done = run("config", "check")
        assert done.returncode == 2 and words in done.stderr, done.stderr


@pytest.mark.promise
def test_rewritten_settings_keep_their_mode_and_the_old_ones_are_private(
    run: Run, folder: Path
) -> None:
    """Also behind a link, which stays."""
    real = folder / "dotfiles.toml"
    real.write_text('[server]\nurl = "http://127.0.0.1:9"\n')
    file = folder / "config.toml"
    file.symlink_to("dotfiles.toml")
    for mode in (0o600, 0o640, 0o644):
        real.chmod(mode)
        assert run("config", "set", "defaults.label", f"m{mode}").returncode == 0
        assert file.is_symlink() and f"m{mode}" in real.read_text()
        assert stat.S_IMODE(real.stat().st_mode) == mode
        assert stat.S_IMODE((folder / "dotfiles.toml.old").stat().st_mode) == 0o600
    assert {one.name for one in folder.iterdir()} == {
        *("config.toml", "dotfiles.toml", "dotfiles.toml.old"),
    }


def test_set_and_unset_keep_comments(run: Run, folder: Path) -> None:
    """And refuse what makes no sense, with the file as it was."""
    assert run("config", "init").returncode == 0
    file = folder / "config.toml"
    before = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("config", "init").returncode == 2
    assert run("config", "set", "servers.gpu1.url", "http://gpu1:1").returncode == 0
    assert run("config", "set", "server.url", "gpu1").returncode == 0
    assert run("config", "set", "defaults.max_tokens", "7").returncode == 0
    text = file.read_text()
    assert "max_tokens = 7\n" in text and '\nurl = "gpu1"\n' in text
    assert all(line in text for line in before.splitlines() if line.startswith("#"))
    for wrong in (
        ("defaults.max_tokens", "many"),
        ("server.parallel", "0"),
        ("nonsense", "1"),
        ("server.api_key", KEY),
        ("server.url.x", "1"),
        ("server.url", ""),
        ("servers.gpu1.url", " "),
    ):
        done = run("config", "set", *wrong)
        assert done.returncode == 2 and file.read_text() == text, wrong
    assert run("config", "unset", "defaults.max_tokens").returncode == 0
    assert "\nmax_tokens = 7" not in file.read_text()
    assert (folder / "config.toml.old").read_text() == text
    assert run("config", "unset", "defaults.max_tokens").returncode == 2


@pytest.mark.promise
def test_an_edit_that_makes_no_sense_is_not_put_in_place(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    """A good one is, and the file before is kept; also through a symbolic link."""
    real = tmp_path / "dotfiles.toml"
    real.write_text("[defaults]\npriority = 1\n")
    (folder / "config.toml").symlink_to(real)
    done = run("config", "edit", EDITOR="sed -i s/priority/nonsense/")
    assert done.returncode == 2 and "defaults.nonsense" in done.stderr
    assert real.read_text() == "[defaults]\npriority = 1\n"
    done = run("config", "edit", EDITOR="sed -i s/1/2/")
    assert done.returncode == 0, done.stderr
    assert real.read_text() == "[defaults]\npriority = 2\n"
    assert (folder / "config.toml").is_symlink()
    assert (tmp_path / "dotfiles.toml.old").read_text() == "[defaults]\npriority = 1\n"


def test_a_key_in_the_keyring_reaches_its_server(run: Run, folder: Path, tmp_path: Path) -> None:
    """Stored from standard input, read by the runner; never in a file of ours."""
    environ = keyring_in(tmp_path)
    (tmp_path / "a.txt").write_text("A story.")
    with fake_sglang(tmp_path, "--require-key", KEY, "--answer", "Well.") as server:
        (folder / "config.toml").write_text(f'[servers.gpu1]\nurl = "{server.url}"\n')
        assert run("config", "key", "gpu2", typed=KEY, **environ).returncode == 2
        stored = run("config", "key", "gpu1", typed=f"{KEY}\n", **environ)
        assert stored.returncode == 0, stored.stderr
        assert 'api_key = "keyring"' in (folder / "config.toml").read_text()
        done = run("submit", "a.txt", "--server", "gpu1", "--wait", **environ)
        assert done.stdout == "Well.\n", done.stderr


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        ("keyring.backends.fail.Keyring", "this machine has no keyring"),
        ("keyring.backends.null.Keyring", "this machine's keyring does not store keys"),
    ],
)
def test_a_machine_without_a_keyring_is_told_what_to_do(
    run: Run, folder: Path, backend: str, told: str
) -> None:
    """And the file is as it was."""
    (folder / "config.toml").write_text('[servers.gpu1]\nurl = "http://127.0.0.1:9"\n')
    done = run("config", "key", "gpu1", typed=KEY, PYTHON_KEYRING_BACKEND=backend)
    assert done.returncode == 2 and told in done.stderr and "api_key_file" in done.stderr
    assert "api_key" not in (folder / "config.toml").read_text()


def test_paths(run: Run, folder: Path, ktjob_home: Path) -> None:
    """All of them, or one; nothing is created."""
    found = json.loads(run("paths", "--json").stdout)
    assert found["database"] == str(ktjob_home / "ktjob.db")
    assert found["config"] == str(folder / "config.toml")
    assert run("paths", "database").stdout == f"{ktjob_home / 'ktjob.db'}\n"
    assert run("paths", "nothing").returncode == 2
    assert not ktjob_home.exists()


@pytest.mark.promise
def test_a_server_from_the_variables_of_openai_is_named_and_never_taken_silently(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    """Its key goes into a file that only its owner reads, or into the keyring; a second server of
    the name, a password in the URL and a broken value change nothing."""
    with fake_sglang(tmp_path, "--require-key", KEY) as server:
        openai = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
        added = run("config", "init", "--from-env", **openai)
        assert added.returncode == 0, added.stderr
        key = folder / "openai.key"
        assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == (f"{KEY}\n", 0o600)
        assert KEY not in (folder / "config.toml").read_text()
        document = tmp_path / "text.txt"
        document.write_text("A text.\n")
        checked = run("check", str(document), "--server", "openai", "--json", **openai)
        assert checked.returncode == 0, checked.stderr
        silent = run("config", "show", "--json", **openai)
        default = {one["name"]: one["value"] for one in json.loads(silent.stdout)}["server.url"]
        assert default != openai["OPENAI_BASE_URL"], "only --server takes it"

        before = (folder / "config.toml").read_text()
        for words, environ, said in (
            ((), openai, "there is a [servers.openai] already"),
            (("--name", "b"), {}, "OPENAI_BASE_URL is not set"),
            (("--name", "c"), {"OPENAI_BASE_URL": "http://a:b@host/v1"}, "has a password"),
            (("--name", "c"), {"OPENAI_BASE_URL": "sk-abc123"}, "OPENAI_BASE_URL is not the URL"),
            (("--name", "c"), {"OPENAI_BASE_URL": "http:/host/v1"}, "OPENAI_BASE_URL is not the"),
            (("--name", "d"), {**openai, "OPENAI_API_KEY": "two words\x01"}, "OPENAI_API_KEY"),
        ):
            done = run("config", "init", "--from-env", *words, **environ)
            assert done.returncode == 2 and said in done.stderr, done.stderr
            assert "sk-abc123" not in done.stderr, "a key in the wrong variable"
        assert (folder / "config.toml").read_text() == before
        assert [one.name for one in folder.glob("*.key")] == ["openai.key"]

        ring = keyring_in(tmp_path)
        words = ("config", "init", "--from-env", "--keyring", "--name", "ring")
        same = run(*words, **openai, **ring)
        assert same.returncode == 2 and "have the same url" in same.stderr
        assert not (tmp_path / "keyring.json").exists(), "no key of a server that was not added"
        other = {**openai, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
        assert run(*words, **other, **ring).returncode == 0
        assert json.loads((tmp_path / "keyring.json").read_text()) == {"ktjob/ring": KEY}
        assert not (folder / "ring.key").exists()


def test_a_word_alone_is_not_written_as_a_url(run: Run, folder: Path) -> None:
    """It is a slip, or a server that is not configured; what is in the file already stays valid."""
    folder.mkdir(exist_ok=True)
    file = folder / "config.toml"
    file.write_text('[server]\nurl = "lanhost"\n')
    for name in ("server.url", "servers.new.url"):
        for value in ("nonsense", "http:/127.0.0.1:1", "http//host:1"):
            refused = run("config", "set", name, value)
            assert refused.returncode == 2 and "URL" in refused.stderr, refused.stderr
    topic = run("config", "set", "notify.phone", "http:/secret-topic")
    assert topic.returncode == 2 and "notify.phone is not an address" in topic.stderr
    assert "secret-topic" not in topic.stderr
    assert file.read_text() == '[server]\nurl = "lanhost"\n'
    assert run("config", "set", "server.parallel", "2").returncode == 0
    for name, value in (("servers.new.url", "http://gpu1"), ("server.url", "embedded")):
        assert run("config", "set", name, value).returncode == 0
    unnamed = run("config", "set", "server.url", "newer")
    assert "nor a configured server (new)" in unnamed.stderr


def test_init_offers_the_variables_of_openai(run: Run, folder: Path) -> None:
    """It writes the example, and says how to add that server."""
    done = run("config", "init", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert done.returncode == 0 and "config init --from-env" in done.stderr
    assert "127.0.0.1:9" not in (folder / "config.toml").read_text()
    assert "are for --from-env" in run("config", "init", "--keyring").stderr
