import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { send } from "../../support/http-client.ts";
import { startService, type TestService } from "../../support/service.ts";

let server: TestService;
beforeAll(async () => {
  server = await startService({ THREADS: "1", CPU_THREADS: "1" });
});
afterAll(() => server.stop());

const get = (path: string, headers: Record<string, string> = {}) => send(server.adminPort, { path, headers });

/** Everything that the page loads, found by what refers to it. */
async function loaded(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const open = ["/"];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path)) continue;
    const { status, text } = await get(path);
    expect([path, status]).toEqual([path, 200]);
    found.set(path, text);
    const links = path === "/" ? text.matchAll(/(?:href|src)="(\/live\/[^"]+)"/g) : text.matchAll(/^import .*?"(\.[^"]+)";$/gm);
    for (const [, link = ""] of links) open.push(new URL(link, `http://127.0.0.1${path}`).pathname);
  }
  return found;
}

test("all that the page loads weighs less than 200 KB", async () => {
  const files = await loaded();
  expect([...files.keys()]).toEqual(
    expect.arrayContaining(["/", "/live/theme.css", "/live/icon.svg", "/live/main.js", "/live/threads/lanes.js"]),
  );
  expect(files.size).toBeGreaterThan(15);
  const bytes = [...files.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  expect(bytes).toBeGreaterThan(20_000);
  expect(bytes).toBeLessThan(200_000);
});

test("the browser asks for every module at once, and every file in the folder is loaded", async () => {
  const files = await loaded();
  const preloaded = [...(files.get("/") ?? "").matchAll(/rel="modulepreload" href="([^"]+)"/g)].map(([, link]) => link);
  expect(preloaded.toSorted()).toEqual([...files.keys()].filter((path) => path.endsWith(".js")).toSorted());
  const there = readdirSync(new URL("../../../src/web/live/", import.meta.url), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(js|css|svg)$/.test(name))
    .map((name) => `/live/${name}`);
  expect([...files.keys()].toSorted()).toEqual(["/", ...there].toSorted());
});

test("no file refers to another origin, has a script or style in line, or sets HTML", async () => {
  for (const [path, text] of await loaded()) {
    expect([path, text.replaceAll("http://www.w3.org/2000/svg", "").match(/https?:\/\/|["'(]\/\//)]).toEqual([path, null]);
    expect([path, text.match(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/)]).toEqual([path, null]);
    if (path === "/") expect(text).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
  }
});

test("a file is asked for again each time, and mostly not sent again", async () => {
  for (const path of ["/", "/live/main.js", "/live/theme.css"]) {
    const { headers } = await get(path);
    expect(headers["cache-control"]).toBe("no-cache");
    expect(headers["x-content-type-options"]).toBe("nosniff");
    const again = await get(path, { "if-none-match": String(headers.etag) });
    expect([again.status, again.text]).toEqual([304, ""]);
    expect((await get(path, { "if-none-match": '"other"' })).status).toBe(200);
  }
  const policy = String((await get("/")).headers["content-security-policy"]);
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain("unsafe");
});

test.each(["/live/", "/live/none.js", "/live/index.html", "/live/v8.d.ts", "/live/..%2fdocs%2fpage.js", "/live/constructor"])(
  "%s is no file of the page",
  async (path) => {
    expect((await get(path)).status).toBe(404);
  },
);

test("the page is on the admin listener only, and takes GET and HEAD only", async () => {
  expect((await send(server.port, { path: "/" })).status).toBe(404);
  expect((await send(server.port, { path: "/live/main.js" })).status).toBe(404);
  for (const path of ["/", "/live/main.js"]) {
    expect((await send(server.adminPort, { method: "POST", path })).headers.allow).toBe("GET, HEAD");
    expect(await send(server.adminPort, { method: "HEAD", path })).toMatchObject({ status: 200, text: "" });
  }
});
