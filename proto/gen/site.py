"""The help site: a page per method, part and guide, made of the contract. Files to serve: name -> (type, content).

No page asks anything of another host; style and script stand beside the pages under names that change with them, so
that they may be cached for ever.
"""

import hashlib
import json
import pathlib
import re
from dataclasses import dataclass

from gen import site_examples, site_html
from gen.asyncapi import event_example, listeners
from gen.openapi import CALLERS
from gen.problems import method_problems
from gen.site_html import block, code, endpoint, esc, name_of, words
from gen.text import deprecation_words, kebab, page_of, sentence

HERE = pathlib.Path(__file__).resolve().parents[1] / "site"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
         ".json": "application/json", "": "text/html; charset=utf-8"}
GUIDES = ("getting-started", "authentication", "errors", "pagination", "idempotency", "rate-limits", "realtime",
          "versioning")
NOT_FOUND = "not-found"


@dataclass
class File:
    type: str
    text: str
    immutable: bool


@dataclass
class Site:
    contract: object
    version: str
    files: dict      # name -> File
    assets: dict     # "style.css" -> "/docs/style.0a1b2c.css"
    guides: list     # of (name, title, lead, html)

    def asset(self, name: str, text: str):
        stem, _, suffix = name.rpartition(".")
        hashed = f"{stem}.{hashlib.sha256(text.encode()).hexdigest()[:12]}.{suffix}"
        self.files[hashed] = File(TYPES["." + suffix], text, True)
        self.assets[name] = "/docs/" + hashed


def write_site(contract, version: str) -> dict:
    site = Site(contract, version, {}, {}, [read_guide(contract, name) for name in GUIDES])
    for name in ("style.css", "docs.js", "icon.svg"):
        site.asset(name, (HERE / name).read_text(encoding="utf-8"))
    site.asset("search.json", json.dumps(search_index(site), ensure_ascii=False, separators=(",", ":")))
    add(site, "", "Tradepost: the API", index(site))
    for name, title, lead, text in site.guides:
        add(site, name, title, f'<h1>{esc(title)}</h1><p class="lead">{words(lead)}</p>{text}', "guide")
    for package in packages(contract):
        add(site, package, package.capitalize(), package_page(contract, package))
    add(site, "channels", "Channels and events", channels_page(contract), "guide")
    for method in public(contract):
        add(site, kebab(method.operation), name_of(method), method_page(contract, method), "method")
    add(site, NOT_FOUND, "Not here", '<h1>There is nothing here</h1><p class="lead">The address may be mistyped, or '
        'what was here is gone. <a href="/docs">All of the API</a> is one page away.</p>')
    return site.files


def public(contract) -> list:
    return [m for m in contract.methods if m.public]


def packages(contract) -> list:
    """The parts; the gateway's own methods last."""
    return sorted({m.package for m in public(contract)}, key=lambda p: (p == "gateway", p))


def add(site, name: str, title: str, text: str, kind: str = ""):
    if name in site.files:
        raise ValueError(f'the help site has two pages "{name}": rename the method or the guide')
    site.files[name] = File(TYPES[""], frame(site, name, title, text, kind), False)


# ---- the frame of every page ----

def frame(site, name: str, title: str, text: str, kind: str) -> str:
    full = title if not name else f"{title} · Tradepost"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{esc(full)}</title>
<link rel="icon" href="{site.assets["icon.svg"]}" type="image/svg+xml">
<link rel="stylesheet" href="{site.assets["style.css"]}">
<script src="{site.assets["docs.js"]}" data-index="{site.assets["search.json"]}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
<a class="brand" href="/docs">Tradepost</a>
<form class="search" role="search" hidden>
<input type="search" placeholder="Search" aria-label="Search the documentation" role="combobox" aria-expanded="false"
 aria-controls="found" aria-autocomplete="list" autocomplete="off" spellcheck="false"><kbd aria-hidden="true">/</kbd>
<ul id="found" role="listbox" aria-label="Found" hidden></ul>
</form>
<a class="contents" href="#nav">Contents</a>
</header>
<div class="frame">
<main id="main" class="{kind}" tabindex="-1">
{text}
</main>
<nav id="nav" aria-label="Contents">
{navigation(site, name)}
</nav>
</div>
<footer><p>Tradepost {esc(site.version)} · <a href="/openapi.json">OpenAPI</a> · <a href="/asyncapi.json">AsyncAPI</a>
 · <a href="/api/v1/help">help as JSON</a></p></footer>
</body>
</html>
"""


def link(here: str, name: str, text: str) -> str:
    current = ' aria-current="page"' if here == name else ""
    return f'<li><a href="/docs{"/" + name if name else ""}"{current}>{text}</a></li>'


def navigation(site, here: str) -> str:
    guides = "".join(link(here, name, esc(title)) for name, title, _, _ in site.guides)
    ret = [f"<h2>Guides</h2><ul>{guides}{link(here, 'channels', 'Channels and events')}</ul>"]
    for package in packages(site.contract):
        rows = "".join(link(here, kebab(m.operation), esc(name_of(m))) for m in methods_of(site.contract, package))
        ret.append(f'<h2><a href="/docs/{package}">{package.capitalize()}</a></h2><ul>{rows}</ul>')
    return "".join(ret)


def methods_of(contract, package: str) -> list:
    """Together what is about the same thing: by path, then as the file has them."""
    mine = [m for m in public(contract) if m.package == package]
    return sorted(mine, key=lambda m: (m.service, m.index))


# ---- pages ----

def method_row(method) -> str:
    how = endpoint(method) if method.verb else f'<b class="verb ws">WS</b> {code(method.command)}'
    gone = ' <span class="deprecated">deprecated</span>' if method.deprecated else ""
    return (f'<li><a href="{page_of(method)}"><strong>{esc(name_of(method))}</strong>{gone}'
            f"<span>{words(method.summary)}</span><span class=\"how\">{how}</span></a></li>")


def index(site) -> str:
    cards = "".join(f'<li><a href="/docs/{name}"><strong>{esc(title)}</strong><span>{words(lead)}</span></a></li>'
                    for name, title, lead, _ in site.guides)
    cards += ('<li><a href="/docs/channels"><strong>Channels and events</strong>'
              "<span>What happens, as it happens.</span></a></li>")
    parts = []
    for package in packages(site.contract):
        rows = "".join(method_row(m) for m in methods_of(site.contract, package))
        about = sentence(site.contract.packages[package].partition(":")[2] or site.contract.packages[package])
        parts.append(f'<section><h2 id="{package}"><a href="/docs/{package}">{package.capitalize()}</a></h2>'
                     f'<p>{words(about)}</p><ul class="methods">{rows}</ul></section>')
    return ('<h1>The Tradepost API</h1><p class="lead">One exchange, one wallet, one set of accounts; over REST, '
            "WebSocket and server-sent events. Everything here is generated from the contract that the server itself "
            f'runs on.</p><h2 id="guides">Guides</h2><ul class="cards">{cards}</ul>{"".join(parts)}')


def package_page(contract, package: str) -> str:
    rows = "".join(method_row(m) for m in methods_of(contract, package))
    own = sorted((p for p in contract.problems if p.package == package), key=lambda p: p.status)
    about = contract.packages[package].partition(":")[2] or contract.packages[package]
    errors = f'<h2 id="errors">Errors of its own</h2>{site_html.problem_table(own)}' if own else ""
    return (f'<h1>{package.capitalize()}</h1><p class="lead">{words(sentence(about))}</p>'
            f'<ul class="methods">{rows}</ul>{errors}')


def facts(contract, method) -> list:
    yes = "Yes: sending it again changes nothing more."
    key = "With an <a href=\"/docs/idempotency\">Idempotency-Key</a> only."
    rate = contract.rate_words(method.rate)
    ret = [("Who may call", sentence(CALLERS[method.caller]))]
    if method.caller != "GUEST":
        ret.append(("API keys", "No." if method.permission == "NONE" else
                    f"With the permission {code(method.permission)}."))
    ret.append(("Rate", f'<a href="/docs/rate-limits">{esc(method.rate.lower())}</a>: {words(rate)}.'))
    ret.append(("Safe to repeat", yes if method.idempotent else key if method.caller != "GUEST" else "No."))
    if method.command:
        ports = ", ".join(listeners(method))
        ret.append(("WebSocket", f"{code(method.command)}, on <a href=\"/docs/realtime\">{ports}</a>."))
    return ret


def method_page(contract, method) -> str:
    about = sentence(method.comment)
    gone = (f'<p class="warning"><strong>Deprecated.</strong> {words(deprecation_words(contract, method))} '
            '<a href="/docs/versioning">What that means</a>.</p>' if method.deprecated else "")
    rows = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in facts(contract, method))
    where = f'<p class="endpoint">{endpoint(method)}</p>' if method.verb else ""
    trial = site_html.try_form(contract, method) if method.caller == "GUEST" and method.verb else ""
    return (f'<p class="crumbs"><a href="/docs/{method.package}">{method.package.capitalize()}</a></p>'
            f'<h1>{esc(name_of(method))}</h1><p class="lead">{words(method.summary)}</p>{where}{gone}'
            f'{f"<p>{words(about)}</p>" if about else ""}<dl class="facts">{rows}</dl>'
            f'<div class="examples"><h2 id="example">Example</h2>{examples(contract, method)}</div>'
            f'<section><h2 id="parameters">Parameters</h2>{parameters(contract, method)}</section>'
            f'<section><h2 id="answer">Answer</h2>{answer(contract, method)}</section>'
            f'<section><h2 id="errors">Errors</h2><p>Besides what <a href="/docs/errors">any request</a> may meet.</p>'
            f"{site_html.problem_table(method_problems(contract, method))}</section>{trial}")


def parameters(contract, method) -> str:
    def where(field):
        if field.json in method.path_params:
            return "path"
        return "body" if method.has_body else "query"

    return site_html.fields(contract, method.input, True, where if method.verb else None)


def answer(contract, method) -> str:
    status = f"<p>{code(method.success)}" if method.verb else "<p>"
    if method.content:
        return f"{status} with {code(method.content)}.</p>"
    about = words(sentence(method.output.comment))
    return f"{status} {about}</p>{site_html.fields(contract, method.output, False)}"


def examples(contract, method) -> str:
    ret = []
    if method.verb:
        runs = ' data-run="guest"' if method.caller == "GUEST" else ' data-run="user"'
        ret.append(block("curl", site_examples.curl(contract, method), "sh", runs))
    ret.append(block("JavaScript", site_examples.javascript(contract, method), "js"))
    if method.command:
        sent, got = site_examples.websocket(contract, method)
        ret.append(block("WebSocket", site_examples.pretty(sent), "json"))
        if method.content or not method.verb:
            ret.append(block("Answer", site_examples.pretty(got), "json"))
    body = site_examples.answer_example(contract, method)
    if method.verb and body is not None:
        ret.append(block(f"Answer, {method.success}", site_examples.pretty(body), "json"))
    return "".join(ret)


def channels_page(contract) -> str:
    ret = ['<h1>Channels and events</h1><p class="lead">Subscribe to a channel, on the WebSocket or the stream, and '
           'its events come. How to subscribe and resume is told in <a href="/docs/realtime">Realtime</a>.</p>']
    for name in sorted({e.channel for e in contract.events}):
        events = [e for e in contract.events if e.channel == name]
        sample = site_html.channel_example(name)
        token = "" if events[0].caller == "GUEST" else f" {site_examples.TOKEN}"
        runs = ' data-run="guest"' if events[0].caller == "GUEST" else ' data-run="user"'
        ret.append(f'<section><h2 id="{anchor(name)}">{code(name)}</h2><p>For {CALLERS[events[0].caller]}.</p>')
        ret += [event_part(contract, e) for e in events]
        ret.append(block("WebSocket", json.dumps({"command": "subscribe", "msgId": "1", "channels": [sample]}), "json"))
        ret.append(block("curl", f"curl -N '{site_examples.ORIGIN}/api/v1/stream?channels={sample}'{token}", "sh", runs))
        ret.append(block("JavaScript", f'tradepost.subscribe("{sample}", {{\n  event(event) '
                         "{ console.log(event.type, event.data); },\n});", "js") + "</section>")
    return "".join(ret)


def anchor(channel: str) -> str:
    return re.sub(r"[^a-z]+", "-", channel.split("{")[0]).strip("-")


MISSES = {"EVERY": "Every event comes, in order.", "LATEST": "Who cannot keep up gets only the newest.",
          "SHEDDABLE": "Who cannot keep up may miss some."}


def event_part(contract, event) -> str:
    return (f"<h3>{code(event.type)}</h3><p>{words(event.summary)} {MISSES[event.delivery]}</p>"
            f"{site_html.fields(contract, event.payload, False)}"
            f"{block('Event', site_examples.pretty(event_example(contract, event)), 'json')}")


# ---- guides and search ----

def read_guide(contract, name: str) -> tuple:
    """A guide's file: the title, the lead, a blank line, HTML with {{tables}} of the contract in it."""
    title, lead, _, text = (HERE / "guides" / f"{name}.html").read_text(encoding="utf-8").split("\n", 3)
    tables = {
        "problems": lambda: site_html.problem_table(sorted((p for p in contract.problems if p.package == "gateway"),
                                                           key=lambda p: p.status)),
        "rates": lambda: rate_table(contract),
    }
    text = re.sub(r'(?<=<code class="json">)(.*?)(?=</code>)', lambda m: site_html.json_code(m.group(1)), text, flags=re.S)
    return name, title, lead, re.sub(r"\{\{(\w+)\}\}", lambda m: tables[m.group(1)](), text)


def rate_table(contract) -> str:
    rows = []
    for rate in [name for name, _, _ in contract.enums["options.Rate"].values]:
        mine = [m for m in public(contract) if m.rate == rate]
        many = "Everything else." if rate == "DEFAULT" else ", ".join(
            f'<a href="{page_of(m)}">{esc(name_of(m))}</a>' for m in mine) or "Nothing."
        rows.append(f"<tr><td>{code(rate.lower())}</td><td>{words(contract.rate_words(rate))}</td><td>{many}</td></tr>")
    return ('<table><thead><tr><th scope="col">Class</th><th scope="col">Limit</th><th scope="col">Counts</th></tr>'
            f'</thead><tbody>{"".join(rows)}</tbody></table>')


def search_index(site) -> list:
    """What can be found: title, address, kind, description, and further words that lead there."""
    ret = []
    for name, title, lead, text in site.guides:
        plain = re.sub(r"<[^>]+>", " ", text)
        ret.append({"t": title, "u": f"/docs/{name}", "k": "Guide", "d": lead,
                    "w": " ".join(plain.split())})
    for method in public(site.contract):
        fields = " ".join(f.json for f in method.input.fields + ([] if method.content else method.output.fields))
        problems = " ".join(p.code for p in method_problems(site.contract, method) if p.package != "gateway")
        ret.append({"t": name_of(method), "u": page_of(method), "k": method.package.capitalize(), "d": method.summary,
                    "w": f"{method.command} {method.verb} {method.path} {fields} {problems}"})
    for name in sorted({e.channel for e in site.contract.events}):
        events = [e for e in site.contract.events if e.channel == name]
        ret.append({"t": name, "u": f"/docs/channels#{anchor(name)}", "k": "Channel",
                    "d": " ".join(e.summary for e in events), "w": " ".join(e.type for e in events)})
    for problem in site.contract.problems:
        page = "errors" if problem.package == "gateway" else f"{problem.package}#errors"
        ret.append({"t": problem.code, "u": f"/docs/{page}", "k": f"Error {problem.status}",
                    "d": problem.meaning, "w": ""})
    return ret
