// Builds dist/: fetches the types and routes that the platform's build made from the contract, then compiles.
// Usage: node build.mjs [BUILD-FOLDER]; without one, the newest of ../../build/*.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const generated = { "tradepost.d.ts": "contract.ts", "tradepost.routes.ts": "routes.ts" };

function age(folder) {
  const file = join(folder, "proto/tradepost.routes.ts");
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function newest() {
  const builds = join(here, "../../build");
  const folders = readdirSync(builds, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    .map(({ name }) => join(builds, name));
  const best = folders.sort((a, b) => age(b) - age(a))[0];
  if (!best || !age(best)) throw new Error("no build of the contract yet: cmake --preset release && cmake --build --preset release");
  return best;
}

const from = process.argv[2] ?? newest();
const to = join(here, "src/generated");
mkdirSync(to, { recursive: true });
for (const [name, here] of Object.entries(generated)) copyFileSync(join(from, "proto", name), join(to, here));
rmSync(join(here, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", here], { stdio: "inherit" });
