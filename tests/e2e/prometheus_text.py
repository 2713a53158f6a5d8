"""A strict reader of Prometheus' text format 0.0.4.

https://github.com/prometheus/docs/blob/main/content/docs/instrumenting/exposition_formats.md
"""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"^({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)?\}})? (\S+)$")
NUMBER = re.compile(r"^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|\+Inf|-Inf|NaN)$")
KINDS = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count"), "untyped": ("",)}


class Malformed(Exception):
    pass


def need(condition, line, why):
    if not condition:
        raise Malformed(f"{why}: {line!r}")


def read(text):
    """{name: (type, {labels: value})}; families whole and once, no sample twice, histograms add up."""
    need(text.endswith("\n"), text[-40:], "no newline at the end")
    families, family, kind, helped = {}, None, None, set()
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            need(re.fullmatch(NAME, family) and family not in helped, line, "a second HELP or a bad name")
            helped.add(family)
            kind = None
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            need(name == family and kind in KINDS and name not in families, line, "TYPE without its HELP, or twice")
            families[name] = (kind, {})
        else:
            match = SAMPLE.match(line)
            need(match and NUMBER.match(match[3]), line, "not a sample")
            need(family in families and match[1] in {family + end for end in KINDS[kind]}, line, "outside of its family")
            samples = families[family][1]
            key = (match[1], match[2] or "")
            need(key not in samples, line, "the same sample twice")
            samples[key] = float(match[3])
    for name, (kind, samples) in families.items():
        check_family(name, kind, samples)
    return families


def check_family(name, kind, samples):
    need(samples, name, "no samples")
    if kind == "counter":
        need(name.endswith("_total"), name, "a counter is named _total")
        need(all(v >= 0 for v in samples.values()), name, "a negative counter")
    if kind != "histogram":
        return
    series = {}
    for (sample, labels), value in samples.items():
        if not sample.endswith("_bucket"):
            continue
        bound = re.search(r'le="([^"]*)"', labels)[1]
        rest = re.sub(r',?le="[^"]*"', "", labels).strip(",")
        series.setdefault(rest, []).append((float(bound.replace("+Inf", "inf")), value))
    for rest, buckets in series.items():
        need(buckets == sorted(buckets) and [v for _, v in buckets] == sorted(v for _, v in buckets), name + rest,
             "buckets out of order, or not cumulative")
        need(buckets[-1][0] == float("inf") and buckets[-1][1] == samples[name + "_count", rest], name + rest,
             'le="+Inf" is not the count')
