import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import type { Received } from "../support/http-client.ts";

// Starts faster.
export const SMALL = { THREADS: "1", CPU_THREADS: "1" };
const directory = mkdtempSync(join(tmpdir(), "keys-"));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
export const pathOf = (name: string): string => join(directory, `${name}-${files++}`);
export const fileWith = (text: string): string => {
  const file = pathOf("keys");
  writeFileSync(file, text);
  return file;
};
export const hashed = (key: string) => `sha256:${createHash("sha256").update(key).digest("hex")}`;
export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
export const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

export function expectUnauthorized(answer: Received): void {
  expect(answer).toMatchObject({
    status: 401,
    json: { status: "error", error: { kind: "unauthorized", message: "Authorization: must be Bearer KEY" } },
  });
  expect(answer.headers["www-authenticate"]).toBe("Bearer");
  expect(answer.headers["x-request-id"]).toMatch(/./);
}
