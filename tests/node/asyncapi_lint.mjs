// asyncapi_lint.mjs FILE: exits with 1 and says why when AsyncAPI's parser finds an error or a warning. It also
// holds every message's examples against its schema.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const ERROR = 0, WARNING = 1; // below them: information, such as that there is a later AsyncAPI
const WORDS = { [ERROR]: "error", [WARNING]: "warning" };

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const bad = diagnostics.filter((d) => d.severity <= WARNING);
for (const d of bad) console.log(`${WORDS[d.severity]}: ${d.code}: ${d.message} (at ${d.path.join(".")})`);
if (bad.length > 0 || !document) process.exit(1);
console.log(`${document.allOperations().length} operations, ${document.allMessages().length} messages: all well`);
