import express from "express";
import { afterEach, expect, test } from "vitest";
import { diagnosisRoutes } from "../../src/admin/diagnosis-routes.ts";
import type { Listener } from "../../src/http/listener.ts";
import { addRoutes } from "../../src/http/routes.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { listenPlainly } from "./listen-plainly.ts";

// More than the kernel keeps for a connection.
const LARGE = "x".repeat(12 * 1024 * 1024);
const UNREAD_MS = 500;

let listener: Listener;
afterEach(() => listener.close());

test.each(["trace", "profile"])(
  "a client that does not read its %s is cut off, and the next one is served; who reads has all of it",
  async (what) => {
    let recording = 0;
    const traces = {
      get full() {
        return recording > 0;
      },
      record(out: NodeJS.WritableStream) {
        recording++;
        out.once("close", () => recording--);
        out.end(LARGE);
      },
    };
    const inspector = { cpuProfile: async () => LARGE };
    const app = express();
    addRoutes(
      app,
      diagnosisRoutes({ traces, inspector }, () => [], UNREAD_MS),
    );
    listener = await listenPlainly(app);
    const path = `/debug/${what}?seconds=1`;
    using unread = await RawConnection.open(listener.port);
    unread.socket.pause();
    await unread.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await eventually("the answer begins", () => unread.socket.readableLength > 0);
    if (what === "trace") expect((await send(listener.port, { path })).status).toBe(503);
    await eventually("the cut", () => listener.connections.open === 0);
    const read = await send(listener.port, { path });
    expect([read.status, read.text.length]).toEqual([200, LARGE.length]);
  },
);
