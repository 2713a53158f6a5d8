"""Comments and examples, as the documents show them."""

import re

from gen.formats import FORMATS

TIME = "2026-01-31T23:59:59.123Z"
EXAMPLES = {"string": "", "bytes": "AQID", "bool": True, "int32": 1, "uint32": 1, "int64": "1", "uint64": "1"}


def sentence(text: str) -> str:
    """A comment as a sentence: "in the quote asset" -> "In the quote asset." """
    text = text.strip()
    if not text:
        return ""
    end = "" if text[-1] in ".?!" else "."
    return text[0].upper() + text[1:] + end


def field_words(field, enforced: bool = False) -> str:
    """A field's description: its comment, and its format if it is checked."""
    words = [sentence(field.comment)]
    if enforced and field.limits.format:
        words.append(sentence(FORMATS[field.limits.format].words))
    if enforced and field.kind == "string" and not field.repeated:
        words.append(f"At most {field.size_max} bytes.")
    return " ".join(word for word in words if word)


def field_example(contract, field):
    if field.kind == "message":
        message = contract.messages[field.type]
        value = TIME if message.is_timestamp else message_example(contract, message)
    elif field.limits.example:
        text = field.limits.example
        value = int(text) if field.kind in ("int32", "uint32") else text
    elif field.kind == "enum":
        values = contract.enums[field.type].values
        value = values[min(1, len(values) - 1)][0]
    else:
        value = EXAMPLES[field.kind]
    return [value] if field.repeated else value


def message_example(contract, message, fields=None) -> dict:
    """An instance. Of a request: only what has an example or must be there."""
    return {f.json: field_example(contract, f) for f in (message.fields if fields is None else fields)}


def request_example(contract, fields) -> dict:
    shown = [f for f in fields if f.limits.required or f.limits.example]
    return message_example(contract, None, shown)


def deprecation_words(contract, method) -> str:
    told = method.deprecated
    successor = contract.method(told.successor)
    instead = f" Use {successor.command or successor.verb + ' ' + successor.path} instead." if successor else ""
    return f"Since {told.since}; may be gone from {told.sunset}.{instead}"


def kebab(name: str) -> str:
    return re.sub(r"([A-Z])", r"-\1", name).lower()


def page_of(method) -> str:
    """Its page of the help site: "/docs/place-order"."""
    return "/docs/" + kebab(method.operation)
