"""An imported file does not decide to which server a question, a document and a key go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import ended_jobs

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.records import kinds
from ktclient.submission import renewal
from ktclient.submission.changes import Changes
from ktclient.submission.spec import JobSpec

OTHER = "http://192.0.2.7:30000"


@pytest.mark.promise
@pytest.mark.parametrize(
    ("environ", "text", "is_foreign"),
    [
        ({}, "", True),
        ({"KTJOB_SERVER": OTHER}, "", True),
        ({"KTJOB_SERVER": ended_jobs.SERVER}, "", False),
        ({}, f'[server]\nurl = "{ended_jobs.SERVER}/v1"\n', False),
        ({}, f'[servers.box]\nurl = "{ended_jobs.SERVER}"\n', False),
        ({}, f'[servers.box]\nurl = "{OTHER}"\n', True),
    ],
)
def test_only_a_configured_server_of_an_imported_job_is_asked(
    state: StateDir, environ: dict[str, str], text: str, is_foreign: bool
) -> None:
    """Any other is replaced by the one that is selected here; a job of this machine keeps its."""
    (job,) = ended_jobs.ended(state, "Who came?")
    with Store.open_existing(state) as store:
        own = store.job(job.id)
    settings = config.load({"KTJOB_HOME": str(state.root), **environ}, text=text)
    spec = JobSpec.from_json(own.spec)
    assert renewal.options(own, spec, Changes(), settings).server == ended_jobs.SERVER
    there = replace(own, spec=kinds.as_imported(own.spec, {"id": own.id, "sha256": own.document}))
    wanted = renewal.options(there, spec, Changes(), settings)
    assert wanted.server == (None if is_foreign else ended_jobs.SERVER)
    named = renewal.options(there, spec, Changes(server=OTHER), settings)
    assert named.server == OTHER
