"""The store as the gateway uses it: jobs, and what is stored beside them."""

from __future__ import annotations

from jobs.store.http.files import Files
from jobs.store.http.keys import Keys
from jobs.store.http.ownership import Ownership
from jobs.store.http.requests import Requests
from jobs.store.http.sums import Sums
from jobs.store.store import Store


class HttpStore(Store, Requests, Files, Keys, Sums, Ownership):
    """Jobs, requests, files, uploads and API keys in one state directory."""
