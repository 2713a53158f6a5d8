"""The formats a string field may declare: what each looks like, in a pattern and in words.

proto/contract.c checks the same by hand; tests/unit/proto compares the two.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    pattern: str  # ECMA 262 and Python alike; "" where a pattern says nothing
    words: str
    min_length: int = 0
    openapi: str = ""  # the name OpenAPI's registry knows


LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
PAIR = r"[A-Z0-9]{1,16}-[A-Z0-9]{1,16}"

FORMATS = {
    "asset": Format(r"^[A-Z0-9]{1,16}$", 'an asset, as "USDT"'),
    "decimal": Format(r"^-?[0-9]+(?:\.[0-9]+)?$", 'a decimal number in a string, as "12.50"'),
    # https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
    "email": Format(rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{LABEL}(?:\.{LABEL})*$",
                    'an e-mail address, as "ann@example.com"', openapi="email"),
    "id": Format(r"^[0-9a-f]{32}$", "an id: 32 lower-case hex digits"),
    "key": Format(r"^[A-Za-z0-9_.:-]+$", "letters, digits and _ . : -"),
    "number": Format(r"^(?:0|[1-9][0-9]{0,19})$", "a whole number below 2^64 in a string"),
    "password": Format("", "at least 8 bytes, no control characters", min_length=8),
    "symbol": Format(rf"^{PAIR}$", 'a market, as "BTC-USDT"'),
    "symbols": Format(rf"^{PAIR}(?:,{PAIR})*$", 'markets between commas, as "BTC-USDT,ETH-USDT"'),
    "username": Format(r"^[A-Za-z][A-Za-z0-9_.-]+$", "a letter, then letters, digits and _ . -"),
}


def matches(name: str, text: str) -> bool:
    kind = FORMATS[name]
    return len(text.encode()) >= kind.min_length and re.search(kind.pattern, text) is not None
