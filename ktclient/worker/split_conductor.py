"""The work of a job whose document is too long for one request: ask about each part, then combine
the answers, level by level, until one answer is left.

Everything follows from the stored plan and from answers that are final, so that a later attempt
adds the same parts, and finds those that exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.model import Job, NewJob
from jobs.worker import conductor
from jobs.worker.attempt import RunningAttempt
from ktclient.answers import thoughts
from ktclient.errors import EmptyAnswer
from ktclient.prompts.tasks import Kind, Task
from ktclient.records import phases
from ktclient.splitting import part_prompts, reduce
from ktclient.splitting.reduce import Item
from ktclient.splitting.split_plan import ANSWER, HEADING_TOKENS, Plan
from ktclient.submission.spec import JobSpec
from ktclient.tokens import estimate
from ktclient.tokens.estimate import Estimate
from ktclient.worker.waiting_parts import WaitingParts

_OF_THE_LAST = ("server", "model", "dialect", "finish_reason", "schema_mismatch")
_INSTRUCTION_TOKENS = 256
"""An upper bound in tokens for the instruction about the answers, and a chat template."""


def conduct(running: RunningAttempt) -> None:
    """Conduct the parts. Raises `PartFailed`, `PartRestarted` and `WorkCancelled`."""
    spec = JobSpec.from_json(running.spec)
    assert spec.split is not None
    family = _Family(running, spec, spec.split)
    items = _with_something(family.read(), spec.task)
    level = 0
    while len(groups := reduce.groups([item.tokens for item in items], spec.split.room)) > 1:
        level += 1
        items = family.combine(level, [items[one.start : one.stop] for one in groups])
    family.write(items)


def _with_something(items: list[Item], task: Task) -> list[Item]:
    """Drop the parts that have no answer to a question, unless no part has one."""
    if task.kind is not Kind.ASK:
        return items
    return [item for item in items if not part_prompts.has_nothing(item.text)] or items


class _Family:
    """The parts of one job, according to its plan."""

    def __init__(self, running: RunningAttempt, spec: JobSpec, plan: Plan) -> None:
        self._running, self._spec, self._plan = running, spec, plan
        self._cut_off: list[str] = []
        self._wordless: list[str] = []
        self._waiting = WaitingParts(running)

    def read(self) -> list[Item]:
        """The answer to each chunk."""
        text = self._running.document().decode()
        self._running.enter_phase(phases.READING_PARTS)
        new = [
            self._part(
                str(chunk.number),
                part_prompts.part_document(text, chunk, self._plan),
                part_prompts.part_task(self._spec.task, chunk, self._plan),
                size,
            )
            for chunk, size in zip(self._plan.chunks, self._plan.sizes, strict=True)
        ]
        del text  # megabytes, for a long wait
        stored = conductor.add(self._running, new)
        del new
        return self._answers(stored, [(n, n) for n in range(1, len(stored) + 1)])

    def combine(self, level: int, groups: Sequence[Sequence[Item]]) -> list[Item]:
        """One answer from each group; all of them together would not fit into one request."""
        self._running.enter_phase(phases.COMBINING_PARTS)
        new = [
            self._combining(f"{level}.{number}", group, is_last=False)
            for number, group in enumerate(groups, 1)
        ]
        stored = conductor.add(self._running, new)
        return self._answers(stored, [(group[0].first, group[-1].last) for group in groups])

    def write(self, items: Sequence[Item]) -> None:
        """Combine all answers into the final one, streaming its text."""
        self._running.enter_phase(phases.WRITING_ANSWER)
        conductor.add(self._running, [self._combining(ANSWER, items, is_last=True)])
        last = conductor.stream_part_output(self._running, ANSWER, self._waiting.look)
        self._tell_figures(last)

    def _answers(self, stored: Sequence[Job], places: Sequence[tuple[int, int]]) -> list[Item]:
        conductor.until_succeeded(self._running, self._plan.total, self._waiting.look)
        items = [self._item(job, *place) for job, place in zip(stored, places, strict=True)]
        found = [item for item in items if item.text]
        if not found:
            raise EmptyAnswer(
                "no part has an answer: an earlier version accepted thoughts alone. Submit the "
                "document again, with a higher --max-tokens or --thinking off"
            )
        return found

    def _item(self, job: Job, first: int, last: int) -> Item:
        parts, running = self._running.parts, self._running
        part = conductor.retry_until_usable(running, lambda: parts.named(str(job.part)))
        assert part is not None
        output = conductor.retry_until_usable(running, lambda: parts.pieces(part))
        attempt = conductor.retry_until_usable(running, lambda: parts.attempt(part))
        said = attempt.figures.get("completion_tokens") if attempt else None
        if attempt and attempt.figures.get("finish_reason") == "length":
            self._cut_off.append(str(job.part))
        found = thoughts.divide(output)
        text = found.answer.strip()
        if not text:  # only from before thoughts alone were a failure
            self._wordless.append(str(job.part))
        size = (
            said if isinstance(said, int) and not found.thoughts else estimate.estimate(text).high
        )
        return Item(first, last, text, size + HEADING_TOKENS)

    def _combining(self, name: str, items: Sequence[Item], *, is_last: bool) -> NewJob:
        size = sum(item.tokens for item in items)
        document = part_prompts.combining_document(items, self._plan)
        task = part_prompts.combining_task(self._spec.task, self._plan, is_last=is_last)
        said = f"{task.text}{self._spec.task.schema}{self._spec.manner.system or ''}"
        about = estimate.estimate(said).high + _INSTRUCTION_TOKENS
        counted = Estimate(size // 2, size, size + about)
        if not is_last:
            return self._part(name, document, task, counted)
        asked = replace(task, schema=self._spec.task.schema)  # parts may answer in plain text
        return self._with_answer(self._part(name, document, asked, counted), self._spec.max_tokens)

    def _part(self, name: str, document: str, task: Task, counted: Estimate) -> NewJob:
        job = self._running.job
        spec = replace(
            self._spec, task=task, max_tokens=self._plan.answer, counted=counted, split=None
        )
        of = len(self._plan.chunks)
        what = f"part {name} of {of}" if name.isdigit() else f"combining parts ({name})"
        return NewJob(
            pool=spec.server,
            spec=spec.to_json(),
            document=document.encode(),
            title=f"{job.title}: {what}",
            weight=counted.high + spec.max_tokens,
            max_attempts=self._plan.attempts,
            priority=job.priority,
            parent=job.id,
            part=name,
        )

    def _with_answer(self, new: NewJob, most: int) -> NewJob:
        spec = replace(JobSpec.from_json(new.spec), max_tokens=most)
        weight = new.weight - self._plan.answer + most
        return replace(new, spec=spec.to_json(), weight=weight)

    def _tell_figures(self, last: Job) -> None:
        """Store the sums over all parts, and the metrics of the last one."""
        running = self._running
        jobs = conductor.retry_until_usable(running, running.parts.all)
        attempts = [
            conductor.retry_until_usable(running, lambda job=job: running.parts.attempt(job))  # type: ignore[misc]
            for job in jobs
        ]
        figures = [one.figures for one in attempts if one is not None]
        sums = {
            name: _sum([one.get(name) for one in figures])
            for name in ("prompt_tokens", "completion_tokens", "thought_tokens", "turn_marks")
        }
        ending = next((one.figures for one in attempts if one and one.job_id == last.id), {})
        running.record_metrics(
            **sums,
            parts=len(self._plan.chunks),
            requests=len(jobs),
            **{name: ending.get(name) for name in _OF_THE_LAST},
            warning=self._warning(),
        )

    def _warning(self) -> str | None:
        found = []
        if self._wordless:
            found.append(
                f"without an answer, only with thoughts: parts {', '.join(self._wordless)}"
            )
        if self._cut_off:
            which = ", ".join(self._cut_off)
            found.append(
                f"{len(self._cut_off)} of the parts' answers were cut off at {self._plan.answer:,} "
                f"tokens ({which}); a higher --max-tokens also allows longer answers of parts"
            )
        return "; ".join(found) or None


def _sum(values: Sequence[object]) -> int | None:
    """The sum of the known values; None if none is known."""
    told = [value for value in values if isinstance(value, int)]
    return sum(told) if told else None
