"""`/v1/files`: uploads, their contents, result files."""

import errno
from sqlite3 import Row
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import FileResponse

from local_api.context import Context, context, project
from local_api.errors import InvalidRequest, TooLarge, Unavailable, UnsupportedParameter
from local_api.routes.paging import page
from local_api.store.contents import file_hash
from local_api.training_files import InvalidTrainingFile, check_jsonl
from local_api.wire import Purpose

router = APIRouter(prefix="/v1/files")
UPLOADABLE = [purpose for purpose in get_args(Purpose) if purpose != "fine-tune-results"]


def shape(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "object": "file", "bytes": row["bytes"], "created_at": row["created_at"],
            "filename": row["filename"], "purpose": row["purpose"], "status": "processed"}


async def form_fields(request: Request) -> list[str]:
    """The names of the form's fields: the framework drops those that a route does not take."""
    return list(await request.form())


@router.post("")
def create_file(request: Request, file: UploadFile | None = None, purpose: Annotated[str | None, Form()] = None,
                project: str = Depends(project), fields: list[str] = Depends(form_fields)) -> dict[str, Any]:  # noqa: B008
    here = context(request)
    if others := [name for name in fields if name not in ("file", "purpose")]:
        raise UnsupportedParameter(f"{others[0]} is not supported by the local API: leave it out.", param=others[0])
    if file is None:
        raise InvalidRequest("Missing required parameter: 'file' (a multipart form field).", param="file")
    if purpose not in UPLOADABLE:
        raise InvalidRequest(f"'{purpose}' is not one of {', '.join(UPLOADABLE)}.", param="purpose")
    if (file.size or 0) > here.settings.max_upload_bytes:
        raise TooLarge(f"The file has {file.size:,} bytes; at most {here.settings.max_upload_bytes:,} are taken.", param="file")
    return shape(keep(here, project, file, purpose))


def keep(here: Context, project: str, file: UploadFile, purpose: str) -> Row:
    """Check the content and keep it, or raise with nothing kept."""
    try:
        with here.store.contents.receive(file.file) as path:
            if purpose == "fine-tune":
                check_jsonl(path)
            size, sha256 = path.stat().st_size, file_hash(path)  # before the lock: nobody waits while 512 MB are read
            with here.store.db.transaction():  # a deletion of the same content waits until the row names it
                return here.store.files.add(project, filename=file.filename or "file", purpose=purpose, bytes=size,
                                            sha256=here.store.contents.keep(path, sha256))
    except InvalidTrainingFile as error:
        raise InvalidRequest(str(error), param="file", code="invalid_file_format") from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise Unavailable("The server's disk is full: the file was not kept.") from None


@router.get("")
def list_files(request: Request, purpose: str | None = None, limit: int = 10_000, after: str | None = None,
               order: Literal["asc", "desc"] = "desc", project: str = Depends(project)) -> dict[str, Any]:
    files = context(request).store.files

    def fetch(**options: Any) -> tuple[list[Row], bool]:
        return files.page(project, purpose=purpose, ascending=order == "asc", **options)

    return page(fetch, shape, limit=limit, after=after, most=10_000)


@router.get("/{file_id}")
def retrieve_file(request: Request, file_id: str, project: str = Depends(project)) -> dict[str, Any]:
    return shape(context(request).store.files.get(project, file_id))


@router.get("/{file_id}/content")
def file_content(request: Request, file_id: str, project: str = Depends(project)) -> FileResponse:
    store = context(request).store
    row = store.files.get(project, file_id)
    return FileResponse(store.contents.file(row["sha256"]), media_type="application/octet-stream", filename=row["filename"])


@router.delete("/{file_id}")
def delete_file(request: Request, file_id: str, project: str = Depends(project)) -> dict[str, Any]:
    store = context(request).store
    unused = store.files.delete(project, file_id)
    if unused is not None:
        store.drop_file(unused)
    return {"id": file_id, "object": "file", "deleted": True}
