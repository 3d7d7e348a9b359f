import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, constants, linkSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AccessKeys } from "../../src/http/access-keys.ts";
import { basicPassword, bearerToken } from "../../src/http/needs-key.ts";
import { SecretFileError } from "../../src/secret-file.ts";
import { eventually } from "../support/eventually.ts";
import { basic, fileWith, hashed, pathOf } from "./keys-fixture.ts";

const keysOf = (text: string) => AccessKeys.read("ADMIN_KEYS_FILE", fileWith(text));
const refusalOf = async (reading: Promise<unknown>): Promise<string> => {
  const error = await reading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SecretFileError) return error.message;
  throw new Error("was taken");
};
/** Whether a header shows one of the keys, as a bearer token or as a password. */
const opens = (keys: AccessKeys, header: string | undefined): boolean => {
  const shown = bearerToken(header) ?? basicPassword(header);
  return shown !== undefined && keys.find(shown) !== undefined;
};

describe("a key file", () => {
  test("has keys as they are, keys as their hash, blank lines and comments", async () => {
    const keys = await keysOf(
      `# of the operators\r\n\r\nfirst-long-enough-key\r\n   \n  second-long-enough-key  \n${hashed("third:key")}\n${hashed("fourth").toUpperCase().replace("SHA256", "sha256")}`,
    );
    expect(keys.count).toBe(4);
    for (const key of ["first-long-enough-key", "second-long-enough-key", "third:key", "fourth"]) {
      expect(opens(keys, `Bearer ${key}`)).toBe(true);
      expect(opens(keys, basic("", key).authorization)).toBe(true);
      expect(opens(keys, basic("admin", key).authorization)).toBe(true);
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
      expect(opens(keys, basic("admin", key).authorization)).toBe(false);
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
    expect(message).toMatch(new RegExp(`^ADMIN_KEYS_FILE="${file}": line ${line} must be a key of at least 16 .*$`));
    for (const word of ["good", "bad", "schlüssel", "12345", "abc", "ggg", hashed("good-long-enough-key").slice(7, 20)]) {
      expect(message).not.toContain(word);
    }
  });

  test("may have a key of 16 characters, and the hash of a shorter one", async () => {
    expect((await keysOf(`1234567890123456\n${hashed("short")}`)).count).toBe(2);
  });

  test.each(["", "\n\n", "# only a comment"])("without a key (%j) is refused", async (text) => {
    expect(await refusalOf(keysOf(text))).toMatch(/^ADMIN_KEYS_FILE="\S+": has nothing but comments: a line must be a key .*$/);
  });

  test.skipIf(process.platform === "win32").each([0o666, 0o620, 0o602])(
    "that others may write (mode %o) is refused, at SIGHUP too",
    async (mode) => {
      const file = fileWith("some-long-enough-key");
      const keys = await AccessKeys.read("ADMIN_KEYS_FILE", file);
      writeFileSync(file, "foisted-long-enough-key");
      chmodSync(file, mode);
      const message = `ADMIN_KEYS_FILE="${file}": has mode 0${mode.toString(8)}: must not be writable by its group or by others (chmod go-w)`;
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
    expect(message).toBe("ADMIN_KEYS_FILE: its file cannot be read (ENOENT)");
  });
});

describe("the name of a key's client", () => {
  const nameIn = async (text: string, key: string) => (await keysOf(text)).find(key);

  test("stays the same over restarts, wherever and however the key stands in the file, and is another for another key", async () => {
    const names = [
      await nameIn("anna-long-enough-key", "anna-long-enough-key"),
      await nameIn("anna-long-enough-key", "anna-long-enough-key"),
      await nameIn(hashed("anna-long-enough-key"), "anna-long-enough-key"),
      await nameIn(
        `bert-long-enough-key\n# more\n${hashed("anna-long-enough-key")
          .replace(/[a-f]/g, (digit) => digit.toUpperCase())
          .replace(/^SHA/i, "sha")}`,
        "anna-long-enough-key",
      ),
    ];
    expect(new Set(names.map((client) => JSON.stringify(client))).size).toBe(1);
    expect(names[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(await nameIn("anna-long-enough-key\nbert-long-enough-key", "bert-long-enough-key")).not.toEqual(names[0]);
  });

  test("is found among thousands of keys, and twice the same key is one", async () => {
    const all = Array.from({ length: 3_000 }, (_, n) => `long-enough-key-${n}`);
    const keys = await keysOf([...all, hashed("long-enough-key-7"), "long-enough-key-7"].join("\n"));
    expect(keys.count).toBe(3_000);
    expect(new Set(all.map((key) => keys.find(key))).size).toBe(3_000);
  });

  test.skipIf(process.platform === "win32")("comes from the newest look at the file, though an older one ends later", async () => {
    const file = fileWith("first-long-enough-key");
    const keys = await AccessKeys.read("ADMIN_KEYS_FILE", file);
    const pipe = pathOf("pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    rmSync(file);
    linkSync(pipe, file);
    const older = keys.reload();
    const writer = await eventually(
      "a reader",
      () => openToWrite(pipe),
      (fd) => fd !== undefined,
    );
    renameSync(fileWith("new-long-enough-key"), file);
    const newest = keys.reload();
    // By then the newest would be over too, had it not to wait.
    await AccessKeys.read("ADMIN_KEYS_FILE", file);
    writeSync(writer as number, "old-long-enough-key\n");
    closeSync(writer as number);
    await Promise.all([older, newest]);
    expect(["first-long-enough-key", "old-long-enough-key", "new-long-enough-key"].map((key) => keys.find(key) !== undefined)).toEqual([
      false,
      false,
      true,
    ]);
  });
});

/** Opens a named pipe, undefined while nobody reads it. */
function openToWrite(pipe: string): number | undefined {
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}
