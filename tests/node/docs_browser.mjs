// docs_browser.mjs ORIGIN: reads the help site as somebody with a browser does; exits with 1 and says what was wrong.
// Searching with the keyboard, trying an endpoint, a phone 360 pixels wide, no JavaScript; nothing may be asked of
// another host, be refused by the Content-Security-Policy or be said on the console.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const origin = process.argv[2];
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (!executablePath) {
  console.log("skipped: there is no Chromium");
  process.exit(77);
}
const PATIENCE_MS = 60000;
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic"],
});

/** A page of its own that remembers what went wrong on it. */
async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ignoreHTTPSErrors: true, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.wrong = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.wrong.push(message.text()));
  page.on("pageerror", (error) => page.wrong.push(String(error)));
  page.on("request", (request) => new URL(request.url()).origin !== origin && page.wrong.push(request.url()));
  await page.goto(origin + path);
  return page;
}

async function close(page) {
  assert.deepEqual(page.wrong, [], page.url());
  await page.context().close();
}

const tests = {
  async "the search finds an endpoint with the keyboard alone"() {
    const page = await open("/docs");
    await page.keyboard.press("/");
    await page.keyboard.type("ticker");
    await page.waitForSelector("#found [aria-selected=true]");
    assert.equal(await page.getAttribute(".search input", "aria-expanded"), "true");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/docs/get-ticker");
    assert.equal(await page.textContent("h1"), "Get ticker");
    await close(page);
  },

  async "an error's code leads to what it means"() {
    const page = await open("/docs");
    await page.fill(".search input", "insufficient_funds");
    await page.waitForSelector("#found [aria-selected=true]");
    await page.keyboard.press("Escape");
    assert.equal(await page.isVisible("#found"), false);
    await page.fill(".search input", "insufficient_fund");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/docs\/(trading|wallet)#errors/);
    await close(page);
  },

  async "what a guest may call can be tried"() {
    const page = await open("/docs/get-ticker");
    await page.click(".try button[type=submit]");
    await page.waitForSelector(".try .answer pre");
    assert.match(await page.textContent(".try .answer figcaption"), /^200 /);
    assert.equal(JSON.parse(await page.textContent(".try .answer pre")).symbol, "BTC-USDT");
    await close(page);
  },

  async "a wrong value's answer says what would be right"() {
    const page = await open("/docs/get-depth");
    await page.fill(".try input[name=limit]", "501");
    await page.click(".try button[type=submit]");
    await page.waitForSelector(".try .answer pre");
    assert.equal(JSON.parse(await page.textContent(".try .answer pre")).code, "invalid_argument");
    const told = page.wrong.splice(0); // the browser itself says so when a request fails
    assert.ok(told.every((text) => text.includes("status of 400")), told.join());
    await close(page);
  },

  async "a stream can be followed and stopped"() {
    const page = await open("/docs/stream");
    await page.click(".try button[type=submit]");
    await page.locator(".try .answer pre", { hasText: "retry:" }).waitFor();
    await page.click(".try .stop");
    await page.waitForSelector(".try .stop", { state: "hidden" });
    await close(page);
  },

  async "examples speak of the house they are read at"() {
    const page = await open("/docs/list-markets");
    assert.ok((await page.textContent("code.sh")).includes(`'${origin}/api/v1/markets'`));
    await close(page);
  },

  async "no page is wider than a phone, in the light and in the dark"() {
    const page = await open("/docs", { viewport: { width: 360, height: 740 }, colorScheme: "dark", reducedMotion: "reduce" });
    const pages = await page.$$eval("nav a", (links) => [...new Set(links.map((link) => link.pathname))]);
    assert.ok(pages.length > 30);
    for (const path of ["/docs", ...pages]) {
      await page.goto(origin + path, { waitUntil: "domcontentloaded" });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${path} is ${over} px too wide`);
      const broken = await page.evaluate(() => document.documentElement.outerHTML.includes("undefined"));
      assert.ok(!broken, path);
    }
    await page.click("a.contents");
    assert.ok(await page.evaluate(() => document.querySelector("nav").getBoundingClientRect().top < innerHeight));
    await close(page);
  },

  async "without JavaScript everything but searching and trying is there"() {
    const page = await open("/docs/place-order", { javaScriptEnabled: false });
    for (const [selector, seen] of [["h1", true], ["#parameters", true], ["#errors", true], ["nav", true],
      ["pre", true], [".search", false]])
      assert.equal(await page.isVisible(selector), seen, selector);
    await close(page);
  },

  async "a page that is not there is a page that says so"() {
    const page = await open("/docs/nothing");
    assert.equal(await page.textContent("h1"), "There is nothing here");
    const told = page.wrong.splice(0);
    assert.ok(told.every((text) => text.includes("status of 404")), told.join());
    await close(page);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${name}\n${error.stack}`);
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
