"""Database rows as the values of `jobs.model`."""

from __future__ import annotations

import json
import sqlite3

from jobs.model import Attempt, Capacity, Event, Identity, Job, Outcome, Pause, Status


def job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        pool=row["pool"],
        weight=row["weight"],
        title=row["title"],
        spec=row["spec"],
        document=row["document"],
        status=Status(row["status"]),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        cause=row["cause"],
        message=row["message"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        cancel_requested_at=row["cancel_requested_at"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        priority=row["priority"],
        seq=row["seq"],
        label=row["label"],
        submit_key=row["submit_key"],
        parent=row["parent"],
        part=row["part"],
        not_before=row["not_before"],
        group_id=row["group_id"],
        held_at=row["held_at"],
    )


def attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        job_id=row["job_id"],
        number=row["number"],
        rid=row["rid"],
        worker=Identity(row["boot_id"], row["pid"], row["start_ticks"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        phase=row["phase"],
        phase_at=row["phase_at"],
        done=row["done"],
        total=row["total"],
        unit=row["unit"],
        figures=json.loads(row["figures"]),
        outcome=row["outcome"],
        cause=row["cause"],
        message=row["message"],
    )


def event(row: sqlite3.Row) -> Event:
    data = json.loads(row["data"])
    return Event(row["at"], row["attempt"], row["kind"], data, row["job_id"], row["seq"])


def pause(row: sqlite3.Row) -> Pause:
    return Pause(row["pool"] or None, row["at"])


UNLIMITED = 2**62
"""The value of pools.capacity for a pool without a token limit: schema 1 made it NOT NULL."""


def capacity(row: sqlite3.Row) -> Capacity:
    tokens = None if row["capacity"] >= UNLIMITED else row["capacity"]
    return Capacity(tokens, row["slots"], bool(row["affinity"]))
