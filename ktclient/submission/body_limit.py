"""Another limit for the answer of a request body that waits: of a client of the gateway, or of a
program. Its words are not changed: whoever sent them gets the answer to exactly these."""

from __future__ import annotations

from dataclasses import replace

from jobs.model import Capacity, Job, NewJob
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.planning import forecast as forecasts
from ktclient.planning.forecast import Forecast
from ktclient.request.body import Body
from ktclient.submission import capacity, chat_request
from ktclient.submission.chat_request import ChatOptions
from ktclient.submission.spec import JobSpec


def renewed(
    old: Job, plain: NewJob, max_tokens: int, settings: config.Settings
) -> tuple[NewJob, dict[str, Capacity], Forecast]:
    """The same job with another limit, counted and checked again on its own server. The stored body
    keeps the limit that its client sent; the job's own is what its worker sends.

    Raises what `chat_request.check` raises, and `DoesNotFit`.
    """
    spec = JobSpec.from_json(old.spec)
    sent = Body.from_bytes(plain.document)
    limits = {"max_tokens": max_tokens, "max_completion_tokens": max_tokens}
    body = Body({**sent.fields, **limits})
    options = ChatOptions(
        server=spec.server,
        model=None if spec.is_model_chosen else spec.model,
        max_tokens=max_tokens,
        timeout=None if spec.is_lasting else spec.timeout,
        patience=forecasts.PATIENCE_SECONDS,
    )
    checked = chat_request.check(body, options, settings)
    checked.forecast.verdict.require()
    count = checked.forecast.count
    changed = replace(spec, max_tokens=max_tokens, timeout=checked.forecast.deadline)
    new = replace(plain, spec=changed.to_json(), weight=count.high + max_tokens)
    with Store.open_existing(settings.state) as store:
        capacities = {checked.target.server: capacity.of(store, checked.target)}
    return replace(new, pool=checked.target.server), capacities, checked.forecast
