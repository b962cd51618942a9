"""Pages of a list, and conditional requests for a resource.

    @app.get("/rooms")
    async def rooms_list() -> tuple[list[Room], Literal[200], dict[str, str]]:
        wanted = query(Filter)
        rows = await rooms.after(wanted.after, wanted.count + 1)
        rooms, links = page(rows, wanted.count, after=lambda room: room.id)
        return rooms, 200, links

    @app.patch("/rooms/<uuid:room_id>")
    async def rooms_update(room_id: UUID) -> tuple[Room, Literal[200], dict[str, str]]:
        async with db.session() as session:
            room = await rooms.lock(session, room_id)
            etag(room.version)                     # 428 without If-Match, 412 when the room has changed
            rooms.change(room, body(Changes))
        return room.shown(), 200, etag(room.version, changed=True)

Source: RFC 9110 sections 8.8.3 (ETag) and 13 (conditional requests), RFC 6585 section 3 (428), RFC 8288 (links).
"""

import hashlib
from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.exceptions import HTTPException, PreconditionFailed, PreconditionRequired

from decant.web.defaults import SAFE_METHODS

__all__ = ["etag", "page"]

_NOT_MODIFIED = 304


def page[T](rows: Sequence[T], count: int | None = None, **cursor: object) -> tuple[list[T], dict[str, str]]:
    """Make a page of rows, and the header `Link` that names the next page.

    Args:
        rows: Rows in the order of the list, at most `count + 1`: one more than a page shows that another page follows.
        count: Maximum number of rows of a page; None when the rows are those of the page.
        cursor: Name of the query parameter that continues the list, with its value: a function of the last row of this
            page, or the value itself, None on the last page. A tuple becomes a repeated parameter. A cursor of ordered
            columns that are unique together is stable when rows are inserted.
    Returns:
        The page's rows, and the response's headers: `Link` with `rel="next"`, or none for the last page.
    """
    shown = list(rows[:count])
    if count is not None and (len(rows) <= count or not shown):
        return shown, {}
    following = {name: value(shown[-1]) if callable(value) else value for name, value in cursor.items()}
    if None in following.values():
        return shown, {}
    parameters = [(name, value) for name, value in request.args.items(multi=True) if name not in following]
    return shown, {"Link": f'<?{urlencode([*parameters, *following.items()], doseq=True)}>; rel="next"'}


def etag(*version: object, changed: bool = False) -> dict[str, str]:
    """Check the request's conditions against a resource's version, and make the response's headers.

    Args:
        version: Values that change with the resource, such as a counter, or the Struct that the view returns. A view
            that returns more fields to some callers needs versions that differ as well.
        changed: The request has changed the resource: this version is the new one, and conditions are not checked.
    Returns:
        `ETag`, and a `Cache-Control` that lets clients keep the response and requires them to check it.
    Raises:
        HTTPException: 304, a GET request's `If-None-Match` has this version.
        PreconditionRequired: 428, an unsafe request has no `If-Match`: it would overwrite changes of others.
        PreconditionFailed: 412, the resource has changed since the version in `If-Match`.
    """
    tag = hashlib.sha256("\n".join(map(str, version)).encode()).hexdigest()[:32]
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if changed:
        return headers
    if request.method in SAFE_METHODS:
        if request.if_none_match.contains_weak(tag):
            raise HTTPException(response=Response(status=_NOT_MODIFIED, headers=headers))
    elif not request.if_match:
        raise PreconditionRequired("This request needs the header If-Match with the ETag of the version to change.")
    elif not request.if_match.contains(tag):
        raise PreconditionFailed("The resource has changed; read it again.")
    return headers
