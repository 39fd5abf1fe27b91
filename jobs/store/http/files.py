"""Files and uploads. Their bytes are beside the database; whoever calls writes them first."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from jobs import clock
from jobs.store.database import Database
from jobs.store.http.values import File, NewFile, Upload, UploadPart

_FIRST, _LAST = 0, 2**62


class Files(Database):
    """Reads and writes of files, uploads and their parts."""

    def add_file(self, new: NewFile) -> File:
        """Store a file whose bytes are on disk."""
        with self._transaction():
            self._insert_file(new)
        found = self.file(new.id)
        assert found is not None
        return found

    def _insert_file(self, new: NewFile) -> None:
        self._run(
            "insert_file",
            id=new.id,
            owner=new.owner,
            filename=new.filename,
            purpose=new.purpose,
            bytes=new.bytes,
            expires_at=new.expires_at,
            at=clock.now(),
        )

    def file(self, file_id: str) -> File | None:
        """The file with this id; None if there is none."""
        found = self._values(_file, self._all("file", id=file_id))
        return found[0] if found else None

    def files_of(
        self,
        owner: str | None,
        limit: int,
        after: int | None = None,
        purpose: str | None = None,
        *,
        is_descending: bool = False,
    ) -> list[File]:
        """An owner's files (None: everybody's) that have not expired, from behind the file whose
        `seq` is `after`."""
        edge = _LAST if is_descending else _FIRST
        given: dict[str, object] = {"owner": owner, "limit": limit, "purpose": purpose}
        given |= {"descending": is_descending, "after": edge if after is None else after}
        return self._values(_file, self._all("files_of", **given, now=clock.now()))

    def bytes_stored(self, owner: str) -> int:
        """Bytes of an owner's files, and of the parts of pending uploads."""
        files = self._scalar("bytes_of_files", owner=owner)
        return int(str(files)) + int(str(self._scalar("bytes_of_parts", owner=owner)))

    def remove_file(self, file_id: str) -> bool:
        """Forget a file. Whether there was one; then its bytes can be deleted."""
        with self._transaction():
            return self._run("remove_file", id=file_id) == 1

    def expired_files(self) -> list[File]:
        """Files to delete by now."""
        return self._values(_file, self._all("expired_files", now=clock.now()))

    def stored_ids(self) -> frozenset[str]:
        """The ids of all files, and of the parts of pending uploads: the names of what is on
        disk."""
        return frozenset(row["id"] for row in self._all("stored_ids"))

    def add_upload(self, new: Upload) -> Upload:
        """Store a new upload; its `status`, `file_id` and `created_at` are set here."""
        with self._transaction():
            self._run(
                "insert_upload",
                id=new.id,
                owner=new.owner,
                filename=new.filename,
                purpose=new.purpose,
                mime_type=new.mime_type,
                bytes=new.bytes,
                file_seconds=new.file_seconds,
                expires_at=new.expires_at,
                at=clock.now(),
            )
        found = self.upload(new.id)
        assert found is not None
        return found

    def upload(self, upload_id: str) -> Upload | None:
        """The upload with this id; None if there is none."""
        found = self._values(_upload, self._all("upload", id=upload_id))
        return found[0] if found else None

    def add_upload_part(self, part_id: str, upload_id: str, size: int) -> bool:
        """Store a part whose bytes are on disk. False if the upload is not pending any more."""
        with self._transaction():
            given = {"id": part_id, "upload_id": upload_id, "at": clock.now()}
            return self._run("insert_upload_part", **given, bytes=size) == 1

    def upload_parts(self, upload_id: str) -> list[UploadPart]:
        """The parts of an upload, in the order in which they came."""
        return self._values(_part, self._all("upload_parts", upload_id=upload_id))

    def end_upload(self, upload_id: str, status: str, file: NewFile | None = None) -> bool:
        """End a pending upload, and store its file if it is complete, in one transaction. False if
        another process was first: then nothing is changed."""
        with self._transaction():
            file_id = None if file is None else file.id
            if not self._run("end_upload", id=upload_id, status=status, file_id=file_id):
                return False
            if file is not None:
                self._insert_file(file)
            self._run("remove_upload_parts", upload_id=upload_id)
        return True

    def expired_uploads(self) -> Sequence[Upload]:
        """Pending uploads whose time is over."""
        return self._values(_upload, self._all("expired_uploads", now=clock.now()))


def _file(row: sqlite3.Row) -> File:
    return File(
        seq=row["seq"],
        id=row["id"],
        owner=row["owner"],
        filename=row["filename"],
        purpose=row["purpose"],
        bytes=row["bytes"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def _upload(row: sqlite3.Row) -> Upload:
    return Upload(
        id=row["id"],
        owner=row["owner"],
        filename=row["filename"],
        purpose=row["purpose"],
        mime_type=row["mime_type"],
        bytes=row["bytes"],
        status=row["status"],
        file_id=row["file_id"],
        file_seconds=row["file_seconds"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def _part(row: sqlite3.Row) -> UploadPart:
    return UploadPart(row["id"], row["upload_id"], row["bytes"], row["created_at"])
