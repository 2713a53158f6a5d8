"""Pieces of HTML for the help site. Everything that goes in is escaped here."""

import html
import re

from gen.asyncapi import parameters_of
from gen.formats import FORMATS
from gen.help import type_name
from gen.site_examples import pretty, split_request
from gen.text import field_example, sentence

JSON_TOKEN = re.compile(r'(?P<k>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<s>"(?:[^"\\]|\\.)*")|(?P<n>-?\b\d[\d.eE+-]*\b|\b(?:true|false|null)\b)')


def esc(text) -> str:
    return html.escape(str(text), quote=True)


def words(text: str) -> str:
    """A sentence of the contract: what stands in backquotes is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", esc(text))


def code(text) -> str:
    return f"<code>{breakable(text)}</code>"


def breakable(text) -> str:
    """May be wrapped behind its separators: "/api/v1/orders", "market.price"."""
    return re.sub(r"([/.:_])(?=\w|\{)", r"\1<wbr>", esc(text))


def json_code(text: str) -> str:
    def colour(match):
        return f'<span class="{match.lastgroup}">{esc(match.group())}</span>'

    ret, end = [], 0
    for match in JSON_TOKEN.finditer(text):
        ret += [esc(text[end:match.start()]), colour(match)]
        end = match.end()
    return "".join(ret) + esc(text[end:])


def block(title: str, text: str, language: str, extra: str = "") -> str:
    """A piece of code under its title; it scrolls by itself, also with the keyboard."""
    inner = json_code(text) if language == "json" else esc(text)
    return (f'<figure class="code"{extra}><figcaption>{esc(title)}</figcaption>'
            f'<pre tabindex="0" aria-label="{esc(title)}"><code class="{language}">{inner}</code></pre></figure>')


def verb(name: str) -> str:
    return f'<b class="verb {name.lower()}">{name}</b>'


def endpoint(method) -> str:
    return f'{verb(method.verb)} <code class="path">{breakable(method.path)}</code>'


def name_of(method) -> str:
    """ "placeOrder": "Place order" """
    text = re.sub(r"([A-Z])", lambda m: " " + m.group(1).lower(), method.operation)
    text = re.sub(r"\b(api|jwks)\b", lambda m: m.group(1).upper(), text)
    return text[0].upper() + text[1:]


# ---- fields ----

def fields(contract, message, request: bool, where=None, depth: int = 0) -> str:
    """A list of what a message holds, with what it holds in turn."""
    if not message.fields:
        return '<p class="none">Nothing.</p>' if depth == 0 else ""
    rows = [field_row(contract, f, request, where, depth) for f in message.fields]
    return f'<dl class="fields">{"".join(rows)}</dl>'


def field_row(contract, field, request: bool, where, depth: int) -> str:
    notes = [f'<span class="type">{esc(type_name(contract, field))}</span>']
    if where:
        notes.append(f'<span class="in">in the {where(field)}</span>')
    if request and field.limits.required:
        notes.append('<strong class="required">required</strong>')
    below = ""
    if field.kind == "message" and not contract.messages[field.type].is_timestamp:
        message = contract.messages[field.type]
        below = fields(contract, message, request, None, depth + 1)
    text = " ".join(t for t in (words(sentence(field.comment)), limits(contract, field, request)) if t)
    said = f"<p>{text}</p>" if text else ""
    return (f'<div><dt><code>{esc(field.json)}</code> {" ".join(notes)}</dt>'
            f"<dd>{said}{values(contract, field)}{example(contract, field)}{below}</dd></div>")


def limits(contract, field, request: bool) -> str:
    ret = []
    if request and field.limits.format:
        ret.append(sentence(FORMATS[field.limits.format].words))
    if request and field.repeated:
        ret.append(f"At most {field.items_max} items.")
    elif request and field.kind in ("string", "bytes"):
        ret.append(f"At most {field.size_max} bytes.")
    elif request and field.value_max:
        ret.append(f"At most {field.value_max}.")
    elif field.kind in ("int64", "uint64"):
        ret.append("A whole number in a string.")
    elif field.kind == "message" and contract.messages[field.type].is_timestamp:
        ret.append("RFC 3339, UTC, milliseconds.")
    return words(" ".join(ret))


def values(contract, field) -> str:
    if field.kind != "enum":
        return ""
    rows = [f"<li><code>{esc(name)}</code>{' — ' + words(comment) if comment else ''}</li>"
            for name, number, comment in contract.enums[field.type].values if number or comment]
    return f'<ul class="values">{"".join(rows)}</ul>'


def example(contract, field) -> str:
    if not field.limits.example:
        return ""
    value = field_example(contract, field)
    return f'<p class="eg">Example: {code(value[0] if isinstance(value, list) else value)}</p>'


# ---- tables ----

def problem_table(problems) -> str:
    rows = [f'<tr><td>{p.status}</td><td>{code(p.code)}</td><td>{words(p.meaning)}</td></tr>' for p in problems]
    return ('<table class="problems"><thead><tr><th scope="col">Status</th><th scope="col">Code</th>'
            f'<th scope="col">Meaning</th></tr></thead><tbody>{"".join(rows)}</tbody></table>')


# ---- trying ----

def try_form(contract, method) -> str:
    """For what a guest may call; the script shows and runs it."""
    inputs = [try_input(contract, f) for f in method.input.fields
              if f.json in method.path_params or not method.has_body]
    if method.has_body:
        text = pretty(split_request(contract, method)[1])
        inputs.append(f'<label>Body <textarea name="" rows="{text.count(chr(10)) + 2}" spellcheck="false">'
                      f"{esc(text)}</textarea></label>")
    stream = ' data-stream="true"' if method.content == "text/event-stream" else ""
    return (f'<section class="try" hidden><h2 id="try">Try it</h2><form data-verb="{method.verb}" '
            f'data-path="{esc(method.path)}"{stream}>{"".join(inputs)}'
            '<p><button type="submit">Send</button> <button type="button" class="stop" hidden>Stop</button></p></form>'
            '<div class="answer" role="status" aria-live="polite"></div></section>')


def try_input(contract, field) -> str:
    value = field_example(contract, field) if field.limits.example else ""
    value = value[0] if isinstance(value, list) else value
    required = " required" if field.limits.required else ""
    return (f'<label>{esc(field.json)} <input name="{esc(field.json)}" value="{esc(value)}"{required} '
            'autocomplete="off" spellcheck="false"></label>')


def channel_example(name: str) -> str:
    for parameter in parameters_of(name):
        name = name.replace("{" + parameter + "}", "BTC-USDT")
    return name
