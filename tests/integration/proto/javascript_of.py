"""javascript_of.py SITE OUT: the JavaScript examples of the help site, a TypeScript module per page."""

import html
import pathlib
import re
import sys

site, out = map(pathlib.Path, sys.argv[1:3])
IMPORT = 'import { Tradepost } from "@tradepost/client";'
pages = 0
for page in sorted(site.iterdir()):
    found = re.findall(r'<code class="js">(.*?)</code>', page.read_text(encoding="utf-8"), re.S)
    if not found or page.suffix == ".js":
        continue
    examples = [html.unescape(text).replace(IMPORT, "").replace("const tradepost", "const own") for text in found]
    lines = ['import { Tradepost } from "./client/index";', "declare const tradepost: Tradepost;", "void Tradepost;"]
    lines += [f"{{\n{example.replace('await tradepost.signIn', 'await own.signIn')}\n}}" for example in examples]
    (out / f"{page.stem}.ts").write_text("\n".join([*lines, ""]), encoding="utf-8")
    pages += 1
assert pages > 30, pages
