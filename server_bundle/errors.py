"""Why a server cannot be started or used. `ktclient.errors` shows the whole tree."""

from __future__ import annotations

from jobs.errors import KtjobError


class NoServer(KtjobError):
    """No server can do the work now."""

    cause = "no_server"


class EmbeddedNotInstalled(NoServer):
    """The `embedded` extra is not installed."""

    cause = "embedded_not_installed"


class WeightsUnavailable(NoServer):
    """The embedded model's weights could not be downloaded, or have another checksum."""

    cause = "weights_unavailable"


class ServerDidNotStart(NoServer):
    """The server process ended, or did not report, before it was ready."""

    cause = "server_did_not_start"


class StillStarting(KtjobError):
    """The server takes longer to start than the caller waits. Its start continues."""

    cause = "still_starting"


class AnotherServer(KtjobError):
    """The name or the port is used by a running server with other settings."""

    cause = "another_server"


class ServerInUse(KtjobError):
    """Jobs run on the server that was to be stopped."""

    cause = "server_in_use"


class NoSuchProfile(KtjobError):
    """No profile has this name."""

    cause = "no_such_profile"


class NoSuchLock(KtjobError):
    """No lock file has this engine, version and Python."""

    cause = "no_such_lock"


class PlanRefused(KtjobError):
    """The requested settings contradict each other, or would not run. Nothing was started."""

    cause = "plan_refused"


class InstallRefused(KtjobError):
    """The installation would not work on this machine, or in this folder. Nothing was fetched."""

    cause = "install_refused"


class InstallFailed(KtjobError):
    """The installation ended before it was complete. It can be continued."""

    cause = "install_failed"


class FetchRefused(KtjobError):
    """The weights cannot be fetched as asked: the name, the folder or an option is wrong, or a
    library is missing. Nothing was fetched."""

    cause = "fetch_refused"


class FetchFailed(KtjobError):
    """The weights are not whole: the disk, the network, the hub or the content was the reason. What
    had arrived is kept."""

    cause = "fetch_failed"
