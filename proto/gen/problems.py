"""What a method may answer instead of a result: its own problems, and those that follow from what it is."""

from gen.check import SHARED


# What may be wrong with a request that an API key signed.
KEY_CODES = ("bad_signature", "timestamp_out_of_window", "replayed", "invalid_api_key", "ip_not_allowed")


def method_problems(contract, method) -> list:
    """Sorted by status; the method's own before what others have too."""
    own = [contract.problem(method.package, code) for code in method.problems]
    shared = [contract.problem(SHARED, code) for code in shared_codes(method)]
    found = {p.code: p for p in own + [p for p in shared if p]}
    return sorted(found.values(), key=lambda p: p.status)


def shared_codes(method):
    if method.input.fields:
        yield "invalid_argument"
    if method.caller != "GUEST":
        yield from ("unauthenticated", "permission_denied")
    if method.permission != "NONE":
        yield from KEY_CODES
    if method.path_params:
        yield "not_found"
    if takes_key(method):
        yield from ("idempotency_key_in_use", "idempotency_key_reused")
    if method.rate != "UNLIMITED":
        yield "rate_limited"
    if not method.local:
        yield from ("resource_exhausted", "internal", "unavailable", "deadline_exceeded")


def takes_key(method) -> bool:
    """May carry an Idempotency-Key: what is open to guests takes none."""
    return bool(method.verb) and method.verb != "GET" and method.caller != "GUEST"


def all_codes(contract) -> list:
    """Every word that `code` can be, once."""
    return sorted({p.code for p in contract.problems})
