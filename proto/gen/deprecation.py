"""How a method that will be gone says so (docs/versioning.md)."""

import datetime
import email.utils
import json

from gen.text import page_of

POLICY = "/docs/versioning"


def midnight(day: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.timezone.utc)


def notice(contract, method) -> dict:
    """The texts of struct contract_deprecation."""
    told = method.deprecated
    return {
        "deprecation": f"@{int(midnight(told.since).timestamp())}",
        "sunset": email.utils.format_datetime(midnight(told.sunset), usegmt=True),
        "link": ", ".join(links(contract, method)),
        "json": json.dumps(notice_field(contract, method), separators=(",", ":")),
    }


def links(contract, method):
    yield f'<{POLICY}>; rel="deprecation"; type="text/html"'
    successor = contract.method(method.deprecated.successor)
    if successor:  # a path with parameters is no address: then its page
        address = successor.path if successor.verb == "GET" and not successor.path_params else page_of(successor)
        yield f'<{address}>; rel="successor-version"'


def notice_field(contract, method) -> dict:
    told = method.deprecated
    successor = contract.method(told.successor)
    ret = {"since": told.since, "sunset": told.sunset}
    if successor:
        ret["successor"] = successor.command or f"{successor.verb} {successor.path}"
    return ret | {"link": page_of(method)}
