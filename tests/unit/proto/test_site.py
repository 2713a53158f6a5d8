"""The help site as files: nothing is missing, nothing leads nowhere, nothing comes from elsewhere, everybody can read it."""

import html.parser
import json
import pathlib
import re
import sys
import unittest

SITE = pathlib.Path(sys.argv[1], "site")
HELP = json.loads(pathlib.Path(sys.argv[1], "help.json").read_text(encoding="utf-8"))
ROOT = pathlib.Path(__file__).resolve().parents[3]
CONFIG = ROOT / "config/tradepost.yml"
PAGE_BYTES_MAX = 100_000
AA = 4.5  # the contrast that WCAG 2.1 wants of text
OWN = ("https://localhost:3333",)
VOID = {"meta", "link", "input", "br", "wbr", "hr", "img"}


class Page(html.parser.HTMLParser):
    """Elements as (tag, attributes, what they stand in), and the text."""

    def __init__(self, name):
        super().__init__()
        self.name, self.elements, self.text, self.open = name, [], "", []
        self.source = (SITE / name).read_text(encoding="utf-8")
        self.feed(self.source)
        assert not self.open, f"{name}: {self.open} is not closed"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"{self.name}: </{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text += data

    def all(self, *tags):
        return [attributes for tag, attributes, _ in self.elements if tag in tags]

    @property
    def ids(self):
        return [a["id"] for _, a, _ in self.elements if "id" in a]


PAGES = {p.name: Page(p.name) for p in SITE.iterdir() if "." not in p.name or p.suffix == ".html"}
FILES = {p.name: p for p in SITE.iterdir()}


def page_at(address):
    """The file behind "/docs/x", and the anchor in it."""
    path, _, anchor = address.partition("#")
    return path.removeprefix("/docs").lstrip("/") or "index.html", anchor


class Completeness(unittest.TestCase):
    def test_every_operation_has_a_page_with_its_parameters_problems_and_examples(self):
        for operation in HELP["operations"]:
            page = PAGES[page_at(operation["page"])[0]]
            plain = page.text.replace("\n", " ")
            for parameter in operation["parameters"]:
                self.assertIn(parameter["name"], plain, page.name)
                self.assertIn(parameter["type"], plain, page.name)
            for problem in operation["problems"]:
                self.assertIn(f">{problem['status']}</td>", page.source, page.name)
                self.assertIn(problem["code"], plain, page.name)
            self.assertIn(operation["rateLimit"], plain, page.name)
            self.assertEqual("curl" in plain, bool(operation["verb"]), page.name)
            for name in filter(None, (operation["verb"], operation["path"], operation["command"])):
                self.assertIn(name, plain, page.name)
            tried = 'class="try"' in page.source
            self.assertEqual(tried, operation["caller"] == "GUEST" and bool(operation["verb"]), page.name)

    def test_every_page_of_a_method_is_an_operation_of_help(self):
        told = {page_at(o["page"])[0] for o in HELP["operations"]}
        self.assertEqual({name for name, page in PAGES.items() if 'class="method"' in page.source}, told)

    def test_every_channel_and_event_is_told(self):
        text = PAGES["channels"].text
        for channel in HELP["channels"]:
            self.assertIn(channel["name"], text)
            for event in channel["events"]:
                self.assertIn(event["type"], text)
                self.assertIn(event["description"], text)

    def test_every_problem_is_told_where_it_belongs(self):
        for problem in HELP["problems"]:
            page = PAGES["errors" if problem["part"] == "gateway" else problem["part"]]
            self.assertIn(problem["code"], page.text)

    def test_the_search_knows_every_operation_guide_and_channel(self):
        (index,) = [json.loads(path.read_text(encoding="utf-8")) for name, path in FILES.items() if "search" in name]
        addresses = {entry["u"] for entry in index}
        self.assertLessEqual({o["page"] for o in HELP["operations"]}, addresses)
        self.assertLessEqual({"/docs/errors", "/docs/realtime", "/docs/versioning"}, addresses)
        titles = {entry["t"] for entry in index}
        self.assertLessEqual({c["name"] for c in HELP["channels"]} | {p["code"] for p in HELP["problems"]}, titles)
        for entry in index:
            self.check_address(entry["u"], "search")

    def test_every_link_leads_somewhere(self):
        for page in PAGES.values():
            for link in page.all("a"):
                if link["href"].startswith("#"):
                    self.assertIn(link["href"][1:], page.ids, page.name)
                elif link["href"].startswith("/docs"):
                    self.check_address(link["href"], page.name)
                else:
                    self.assertIn(link["href"], [o["path"] for o in HELP["operations"]], page.name)

    def check_address(self, address, where):
        name, anchor = page_at(address)
        self.assertIn(name, PAGES, f"{where}: {address}")
        self.assertTrue(not anchor or anchor in PAGES[name].ids, f"{where}: {address}")

    def test_every_close_code_is_told(self):
        hub = (ROOT / "gateway/realtime/hub.h").read_text(encoding="utf-8")
        codes = set(re.findall(r"HUB_CLOSE_\w+ = (\d{4})", hub)) - {"1000"}
        self.assertGreater(len(codes), 5)
        text = PAGES["realtime"].text
        self.assertEqual({c for c in codes if c not in text}, set())

    def test_the_limits_of_calls_are_those_of_the_configuration(self):
        """ "5/15m" there is "5 per 15 minutes" here."""
        units = {"m": "minute", "h": "hour"}
        settings = dict(re.findall(r'^ *rate_([a-z]+): "(\d+/\d+[mh])"', CONFIG.read_text(encoding="utf-8"), re.M))
        told = {o["rate"].lower(): o["rateLimit"] for o in HELP["operations"] if o["rate"] != "UNLIMITED"}
        self.assertLessEqual(set(told), set(settings))
        for rate, words in told.items():
            count, window = settings[rate].split("/")
            number, unit = int(window[:-1]), units[window[-1]]
            span = unit if number == 1 else f"{number} {unit}s"
            self.assertTrue(words.startswith(f"{count} per {span} and "), f"{rate}: {words}")


class Strictness(unittest.TestCase):
    def test_no_page_is_large(self):
        for name, path in FILES.items():
            self.assertLess(path.stat().st_size, PAGE_BYTES_MAX, name)

    def test_nothing_is_inline_and_nothing_comes_from_elsewhere(self):
        for page in PAGES.values():
            for tag, attributes, _ in page.elements:
                self.assertFalse([a for a in attributes if a == "style" or a.startswith("on")], f"{page.name}: {tag}")
                if tag in ("script", "link", "img"):
                    address = attributes.get("src") or attributes["href"]
                    self.assertIn(page_at(address)[0], FILES, page.name)
            self.assertEqual([t for t, a, _ in page.elements if t == "script" and "src" not in a or t == "style"], [])
        for name, path in FILES.items():
            if path.suffix in (".css", ".js"):
                found = re.findall(r"https?://[^\s\"'`]+|@import|url\(", path.read_text(encoding="utf-8"))
                self.assertLessEqual(set(found), set(OWN), name)

    def test_what_is_cached_for_ever_is_named_by_its_content(self):
        for name in FILES:
            if name not in PAGES:
                self.assertRegex(name, r"^[a-z]+\.[0-9a-f]{12}\.(css|js|json|svg)$")


class ForEverybody(unittest.TestCase):
    def test_every_page_has_its_language_title_landmarks_and_one_heading(self):
        titles = set()
        for page in PAGES.values():
            self.assertEqual(page.all("html"), [{"lang": "en"}])
            for tag in ("main", "nav", "header", "footer", "h1", "title"):
                self.assertEqual(len(page.all(tag)), 1, f"{page.name}: {tag}")
            self.assertEqual(page.all("a")[0]["href"], "#main", "the first link leads to the content")
            titles.add(re.search("<title>(.*?)</title>", page.source).group(1))
            self.assertEqual(len(page.ids), len(set(page.ids)), page.name)
        self.assertEqual(len(titles), len(PAGES), "each has a title of its own")

    def test_headings_leave_out_no_level(self):
        for page in PAGES.values():
            levels = [int(tag[1]) for tag, _, within in page.elements if re.fullmatch("h[1-6]", tag) and "main" in within]
            self.assertEqual(levels[0], 1, page.name)
            for before, after in zip(levels, levels[1:]):
                self.assertLessEqual(after, before + 1, page.name)

    def test_every_input_has_a_name_to_speak(self):
        for page in PAGES.values():
            for tag, attributes, within in page.elements:
                if tag in ("input", "textarea"):
                    self.assertTrue("label" in within or attributes.get("aria-label"), page.name)

    def test_what_scrolls_can_be_reached_and_has_a_name(self):
        for page in PAGES.values():
            for pre in page.all("pre"):
                self.assertEqual(pre.get("tabindex"), "0", page.name)
                self.assertTrue(pre.get("aria-label"), page.name)

    def test_text_stands_out_from_what_is_behind_it_in_light_and_dark(self):
        (css,) = [path.read_text(encoding="utf-8") for name, path in FILES.items() if name.endswith(".css")]
        schemes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)]
        light, dark = [s for s in schemes if "paper" in s and "ws" in s]
        for scheme in (light, light | dark):
            for front in ("ink", "soft", "accent", "get", "post", "put", "delete", "ws", "key", "text", "number"):
                for back in ("paper", "sheet", "well"):
                    self.assertGreaterEqual(contrast(scheme[front], scheme[back]), AA, f"{front} on {back}")
            for front, back in (("ink", "warn-soft"), ("warn", "warn-soft"), ("accent", "accent-soft"), ("ink", "accent-soft"),
                                ("soft", "accent-soft"), ("paper", "accent")):
                self.assertGreaterEqual(contrast(scheme[front], scheme[back]), AA, f"{front} on {back}")


def luminance(colour):
    def linear(value):
        return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i:i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
