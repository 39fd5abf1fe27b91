"""What systemd-logind does to a user's processes at logout, by its own rules and files.

All is read below a root that tests replace. Nothing here starts a process.
"""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass, field
from pathlib import Path

from jobs.system.cgroup import ROOT, Session, read

_CONFIG_FOLDERS = ("usr/lib", "usr/local/lib", "run", "etc")
"""Where systemd reads its configuration, highest priority last (systemd-system.conf(5))."""
_NO_WORDS = ("no", "false", "0", "off", "n", "f")


def name_of_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container that runs as a number
        return str(uid)


@dataclass(frozen=True)
class Kills:
    """Whether the end of a session kills its processes. `answer` is None where no file says so."""

    answer: bool | None
    why: str


@dataclass(frozen=True)
class Logind:
    """Where to read, and for whom."""

    root: Path = ROOT
    uid: int = field(default_factory=os.geteuid)
    user: str = field(default_factory=lambda: name_of_user(os.geteuid()))

    @property
    def linger_file(self) -> Path:
        return self.root / "var/lib/systemd/linger" / self.user

    def runs(self) -> bool:
        """Whether systemd runs here now, by the test of sd_booted(3)."""
        return (self.root / "run/systemd/system").exists()

    def lingers(self) -> bool:
        """Whether the user's services survive the last logout."""
        return self.linger_file.exists()

    def kills(self, session: Session) -> Kills:
        """The rules of logind's manager_shall_kill(): excluded users, then the users it names, then
        the setting for all. They apply to the user who logged in, not to the user of `sudo`."""
        owner = session.uid
        user = self.user if owner is None or owner == self.uid else name_of_user(owner)
        excluded, only = self.setting("KillExcludeUsers"), self.setting("KillOnlyUsers")
        if user in (excluded[0] if excluded else "root").split():
            return Kills(False, f"KillExcludeUsers includes {user}")
        if only:
            has = user in only[0].split()
            verb = "includes" if has else "does not include"
            return Kills(has, f"KillOnlyUsers {verb} {user} ({only[1]})")
        setting = self.setting("KillUserProcesses")
        if setting:
            why = f"KillUserProcesses={setting[0]} ({setting[1]})"
            return Kills(setting[0].lower() not in _NO_WORDS, why)
        if self._is_built_to_spare():
            return Kills(False, "KillUserProcesses is not set, and the default here is no")
        return Kills(None, "KillUserProcesses is not set, and systemd's own default is yes")

    def setting(self, name: str) -> tuple[str, Path] | None:
        """A setting and the file that sets it; None where no file sets it.

        The last assignment wins; an empty one clears the earlier ones.
        """
        found = None
        for path in self._files():
            text = read(self.root, path.relative_to(self.root))
            for value in re.findall(rf"^[ \t]*{name}[ \t]*=[ \t]*(.*?)[ \t\r]*$", text, re.M):
                found = (value, path) if value else None
        return found

    def _is_built_to_spare(self) -> bool:
        """Whether the build-time default is `no`. The packaged logind.conf shows that default as a
        comment. A commented `yes` proves nothing: it may be a setting that was commented out."""
        shown = [
            value.lower()
            for path in self._files()
            for value in re.findall(
                r"^#KillUserProcesses=(\w+)$", read(self.root, path.relative_to(self.root)), re.M
            )
        ]
        return bool(shown) and set(shown) <= set(_NO_WORDS)

    def _files(self) -> list[Path]:
        """logind.conf, then the drop-ins by name. A file hides files of the same name in folders of
        lower priority."""
        main, drop_ins = None, {}
        for folder in _CONFIG_FOLDERS:
            place = self.root / folder / "systemd"
            main = place / "logind.conf" if (place / "logind.conf").exists() else main
            drop_ins.update({path.name: path for path in place.glob("logind.conf.d/*.conf")})
        return [*([main] if main else []), *(drop_ins[name] for name in sorted(drop_ins))]
