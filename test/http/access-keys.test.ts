import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { AccessKeyError, AccessKeys } from "../../src/http/access-keys.ts";
import { basicPassword, bearerToken } from "../../src/http/needs-key.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

const directory = mkdtempSync(join(tmpdir(), "keys-"));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
const fileWith = (text: string): string => {
  const file = join(directory, `keys-${files++}`);
  writeFileSync(file, text);
  return file;
};
const hashed = (key: string) => `sha256:${createHash("sha256").update(key).digest("hex")}`;
const keysOf = (text: string) => AccessKeys.read("ADMIN_KEYS_FILE", fileWith(text));
const refusalOf = async (reading: Promise<unknown>): Promise<string> => {
  const error = await reading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof AccessKeyError) return error.message;
  throw new Error("was taken");
};
/** Whether a header shows one of the keys, as a bearer token or as a password. */
const opens = (keys: AccessKeys, header: string | undefined): boolean => {
  const shown = bearerToken(header) ?? basicPassword(header);
  return shown !== undefined && keys.find(shown) !== undefined;
};
const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

describe("a key file", () => {
  test("has keys as they are, keys as their hash, blank lines and comments", async () => {
    const keys = await keysOf(
      `# of the operators\r\n\r\nfirst-long-enough-key\r\n   \n  second-long-enough-key  \n${hashed("third:key")}\n${hashed("fourth").toUpperCase().replace("SHA256", "sha256")}`,
    );
    expect(keys.count).toBe(4);
    for (const key of ["first-long-enough-key", "second-long-enough-key", "third:key", "fourth"]) {
      expect(opens(keys, `Bearer ${key}`)).toBe(true);
      expect(opens(keys, basic("", key))).toBe(true);
      expect(opens(keys, basic("admin", key))).toBe(true);
    }
    for (const key of [
      "first-long-enough-ke",
      "first-long-enough-key2",
      "FIRST-LONG-ENOUGH-KEY",
      "",
      "#",
      "# of the operators",
      hashed("third:key"),
      "key",
    ]) {
      expect(opens(keys, `Bearer ${key}`)).toBe(false);
      expect(opens(keys, basic("admin", key))).toBe(false);
    }
  });

  test.each([
    undefined,
    "",
    "first-long-enough-key",
    "Bearer",
    "Bearer ",
    "Bearer first-long-enough-key second-long-enough-key",
    "Bearerfirst-key",
    "Digest first-long-enough-key",
    "Basic first-long-enough-key",
    `Basic ${Buffer.from("first-long-enough-key").toString("base64")}`,
    `Basic ${Buffer.from("first-long-enough-key:").toString("base64")}`,
    "Basic %%%",
  ])("is not opened by %j", async (header) => {
    expect(opens(await keysOf("first-long-enough-key"), header)).toBe(false);
  });

  test.each(["bearer", "BEARER", "Bearer  "])("is opened whatever the case of the scheme: %s", async (scheme) => {
    expect(opens(await keysOf("first-long-enough-key"), `${scheme} first-long-enough-key`)).toBe(true);
  });

  test.each([
    ["two words", "good-long-enough-key\nbad key of two words", 2],
    ["a character that no header holds", "schlüssel-schlüssel", 1],
    ["a key of 15 characters", "# comment\n123456789012345", 2],
    ["a hash that is too short", "sha256:abc", 1],
    ["a hash that is none", `sha256:${"g".repeat(64)}`, 1],
    ["a hash in capitals", hashed("good-long-enough-key").replace("sha256", "SHA256"), 1],
    ["a hash with another name", hashed("good-long-enough-key").replace("sha256:", "sha-256="), 1],
  ])("with %s is refused in one line, which names file, line and rule and shows nothing of the key", async (_what, text, line) => {
    const file = fileWith(text);
    const message = await refusalOf(AccessKeys.read("ADMIN_KEYS_FILE", file));
    expect(message).toMatch(new RegExp(`^ADMIN_KEYS_FILE: line ${line} of ${file} must be a key of at least 16 .*$`));
    for (const word of ["good", "bad", "schlüssel", "12345", "abc", "ggg", hashed("good-long-enough-key").slice(7, 20)]) {
      expect(message).not.toContain(word);
    }
  });

  test("may have a key of 16 characters, and the hash of a shorter one", async () => {
    expect((await keysOf(`1234567890123456\n${hashed("short")}`)).count).toBe(2);
  });

  test.each(["", "\n\n", "# only a comment"])("without a key (%j) is refused", async (text) => {
    expect(await refusalOf(keysOf(text))).toMatch(/^ADMIN_KEYS_FILE: \S+ holds no key: .*$/);
  });

  test.skipIf(process.platform === "win32").each([0o666, 0o620, 0o602])(
    "that others may write (mode %o) is refused, at SIGHUP too",
    async (mode) => {
      const file = fileWith("some-long-enough-key");
      const keys = await AccessKeys.read("ADMIN_KEYS_FILE", file);
      writeFileSync(file, "foisted-long-enough-key");
      chmodSync(file, mode);
      const message = `ADMIN_KEYS_FILE: ${file} has mode 0${mode.toString(8)}: must not be writable by its group or by others (chmod go-w)`;
      expect(await refusalOf(keys.reload())).toBe(message);
      expect(await refusalOf(AccessKeys.read("ADMIN_KEYS_FILE", file))).toBe(message);
      expect([keys.find("some-long-enough-key") !== undefined, keys.find("foisted-long-enough-key")]).toEqual([true, undefined]);
      chmodSync(file, 0o444);
      await keys.reload();
      expect(keys.find("foisted-long-enough-key")).toBeDefined();
    },
  );

  test("that is not there is refused, and its name, which may be a key given by mistake, is not shown", async () => {
    const message = await refusalOf(AccessKeys.read("ADMIN_KEYS_FILE", "my-secret-key"));
    expect(message).toBe("ADMIN_KEYS_FILE: the file that it names cannot be read: ENOENT");
  });

  test("is read again, and a bad one changes nothing", async () => {
    const file = fileWith("old-long-enough-key");
    const keys = await AccessKeys.read("ADMIN_KEYS_FILE", file);
    writeFileSync(file, "bad key");
    expect(await refusalOf(keys.reload())).toMatch(/line 1/);
    expect(opens(keys, "Bearer old-long-enough-key")).toBe(true);
    writeFileSync(file, "new-long-enough-key");
    await keys.reload();
    expect(opens(keys, "Bearer old-long-enough-key")).toBe(false);
    expect(opens(keys, "Bearer new-long-enough-key")).toBe(true);
  });
});

describe("with ADMIN_KEYS_FILE", () => {
  test("every admin route needs a key, and no public one does", async () => {
    // Two threads: each is killed once.
    await using server = await startService({
      THREADS: "2",
      ADMIN_KEYS_FILE: fileWith(`plain-long-enough-key\n${hashed("hashed-long-enough-key")}`),
    });
    const routes = [
      ["GET", "/debug/threads", 200],
      ["POST", "/debug/threads", 405],
      ["GET", "/debug/trace?seconds=1", 200],
      ["GET", "/debug/profile?seconds=0", 400],
      ["POST", "/chaos/kill-thread", 200],
      ["POST", "/chaos/stick-thread", 400],
      ["GET", "/chaos/crash", 405],
      ["GET", "/nowhere", 404],
      ["GET", "/%zz", 404],
    ] as const;
    for (const [method, path, status] of routes) {
      for (const authorization of [undefined, "Bearer wrong", basic("plain-long-enough-key", "wrong")]) {
        const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
        const answer = await send(server.adminPort, { method, path, headers });
        expect(answer).toMatchObject({ status: 401, json: { status: "error", error: { kind: "unauthorized" } } });
        expect(answer.headers["www-authenticate"]).toMatch(/^Basic realm="[^"]+"/);
        expect(answer.headers["x-request-id"]).toMatch(/./);
        expect(answer.text).not.toContain("-key");
      }
      for (const authorization of ["Bearer plain-long-enough-key", basic("anyone", "hashed-long-enough-key")]) {
        const body = path === "/chaos/stick-thread" ? "rubbish" : undefined;
        expect((await send(server.adminPort, { method, path, body, headers: { authorization } })).status).toBe(status);
      }
    }
    for (const port of [server.port, server.adminPort]) {
      for (const path of ["/healthz", "/readyz"]) expect((await send(port, { path, headers: { host: "balancer" } })).status).toBe(200);
    }
    expect((await send(server.port, { path: "/order/nobody" })).status).toBe(404);
  });

  test("requests without a valid key are counted, and logged once a second", async () => {
    const file = fileWith("some-long-enough-key");
    const server = await startService({ ADMIN_KEYS_FILE: file, API_KEYS_FILE: file });
    const ask = (port: number, path: string, key: string) => send(port, { path, headers: { authorization: `Bearer ${key}` } });
    await Promise.all(Array.from({ length: 200 }, (_, n) => ask(server.adminPort, "/metrics", `guess-${n}`)));
    await Promise.all(Array.from({ length: 10 }, (_, n) => ask(server.port, "/order/nobody", `guess-${n}`)));
    await ask(server.port, "/order/nobody", "some-long-enough-key");
    const { text } = await ask(server.adminPort, "/metrics", "some-long-enough-key");
    const counts = [...text.matchAll(/^unauthorized_total\{listener="(\w+)"\} (\d+)$/gm)].map(([, listener, count]) => [listener, count]);
    expect(counts).toEqual([
      ["public", "10"],
      ["admin", "200"],
    ]);
    await server.stop();
    const lines = server.logged.filter(({ level }) => level === 40);
    const ofAdmin = lines.filter(({ msg }) => msg === "admin listener: a request without a valid key");
    expect(ofAdmin[0]).toMatchObject({ address: "127.0.0.1" });
    // The first at once, then how many a second: as many lines as it took seconds, which nobody expects to be many.
    expect(ofAdmin.reduce((sum, { count = 1 }) => sum + Number(count), 0)).toBe(200);
    expect(ofAdmin.length).toBeLessThan(60);
    expect(JSON.stringify(server.logged)).not.toContain("guess");
  });

  test("an admin listener that is not on loopback may start", async () => {
    await using server = await startService({ ADMIN_HOST: "0.0.0.0", ADMIN_KEYS_FILE: fileWith("some-long-enough-key") });
    expect((await send(server.adminPort, { path: "/debug/threads" })).status).toBe(401);
    expect(
      (await send(server.adminPort, { path: "/debug/threads", headers: { authorization: "Bearer some-long-enough-key" } })).status,
    ).toBe(200);
  });

  test.each(["0.0.0.0", "::", "::ffff:0.0.0.0"])("and not without: %s", async (host) => {
    await expect(startService({ ADMIN_HOST: host })).rejects.toThrow(
      `ADMIN_HOST="${host}": is not on loopback, so it needs ADMIN_KEYS_FILE`,
    );
  });

  test("reading it again lets new keys in and old ones out; a bad file changes nothing and is logged", async () => {
    const file = fileWith("old-long-enough-key");
    await using server = await startService({ ADMIN_KEYS_FILE: file });
    const status = async (key: string) =>
      (await send(server.adminPort, { path: "/debug/threads", headers: { authorization: `Bearer ${key}` } })).status;
    writeFileSync(file, "new-long-enough-key\nbad line");
    await server.service.reloadKeys?.();
    expect([await status("old-long-enough-key"), await status("new-long-enough-key")]).toEqual([200, 401]);
    expect(server.logged.find(({ level }) => level === 50)).toMatchObject({
      msg: "admin keys stay as they were",
      reason: expect.stringMatching(/line 2/),
    });
    writeFileSync(file, "new-long-enough-key");
    await server.service.reloadKeys?.();
    expect([await status("old-long-enough-key"), await status("new-long-enough-key")]).toEqual([401, 200]);
    expect(JSON.stringify(server.logged)).not.toContain("-key");
  });
});

describe("the process", () => {
  test.each([
    [
      "an admin listener that is not on loopback, without a key file",
      { ADMIN_HOST: "0.0.0.0" },
      /^order-pipeline: ADMIN_HOST="0\.0\.0\.0": .*ADMIN_KEYS_FILE\n$/,
    ],
    ["a key in the place of its file", { ADMIN_KEYS_FILE: "my-secret-key" }, /^order-pipeline: ADMIN_KEYS_FILE: (?!.*my-secret).*\n$/],
    ["an API key in the place of its file", { API_KEYS_FILE: "my-secret-key" }, /^order-pipeline: API_KEYS_FILE: (?!.*my-secret).*\n$/],
  ])("refuses %s in one line", async (_what, settings, line) => {
    await using server = new ChildServer(settings as Record<string, string>);
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.stdout).toBe("");
    expect(server.stderr).toMatch(line);
  });

  test.skipIf(process.platform === "win32")("reads its keys again on SIGHUP", async () => {
    const file = fileWith("old-long-enough-key");
    await using server = new ChildServer({ ADMIN_KEYS_FILE: file });
    const { adminPort } = await server.ports();
    const status = async (key: string) =>
      (await send(adminPort, { path: "/debug/threads", headers: { authorization: `Bearer ${key}` } })).status;
    expect([await status("old-long-enough-key"), await status("new-long-enough-key")]).toEqual([200, 401]);
    writeFileSync(file, "bad key");
    server.signal("SIGHUP");
    await eventually("the refusal in the log", () => /admin keys stay as they were/.test(server.stdout));
    expect([await status("old-long-enough-key"), await status("new-long-enough-key")]).toEqual([200, 401]);
    writeFileSync(file, "new-long-enough-key");
    server.signal("SIGHUP");
    await eventually(
      "the new key",
      () => status("new-long-enough-key"),
      (code) => code === 200,
    );
    expect(await status("old-long-enough-key")).toBe(401);
    server.signal("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });

  test.skipIf(process.platform === "win32")("a SIGHUP that comes before the start is over is heard when it is", async () => {
    const pipe = join(directory, "pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    // Works as soon as the server reads.
    const writeToReader = async (text: string, beforeEnd = () => {}) => {
      const fd = await eventually("a reader", () => {
        try {
          return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
        } catch {
          return undefined;
        }
      });
      writeSync(fd as number, text);
      beforeEnd();
      closeSync(fd as number);
    };
    await using server = new ChildServer({ ADMIN_KEYS_FILE: pipe });
    await writeToReader("old-long-enough-key\n", () => server.signal("SIGHUP"));
    const { adminPort } = await server.ports();
    await writeToReader("new-long-enough-key\n");
    await eventually(
      "the new key",
      () => send(adminPort, { path: "/debug/threads", headers: { authorization: "Bearer new-long-enough-key" } }),
      ({ status }) => status === 200,
    );
  });
});
