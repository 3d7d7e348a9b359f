import { expect } from "vitest";
import { newId, orderOf } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import type { TestService } from "../support/service.ts";
import type { Answered } from "./documented.ts";

/** The answer to the first of many requests that finds too many in line on its connection: they wait for an order. */
export async function behindTooMany({ port }: TestService, request: string): Promise<Answered> {
  using connection = await RawConnection.open(port);
  const order = JSON.stringify(orderOf(newId("first-in-line"), 100));
  const first = `POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${order.length}\r\n\r\n${order}`;
  await connection.write(first + request.repeat(120));
  const answers = await connection.answersToTheEnd();
  expect(answers.length).toBeGreaterThan(100);
  const last = answers.at(-1);
  return { status: last?.status ?? 0, headers: last?.headers ?? {}, text: last?.body ?? "" };
}

/** Sends bytes and reads the answer to the end of the connection. */
export async function raw({ port }: TestService, bytes: string): Promise<Answered> {
  using connection = await RawConnection.open(port);
  await connection.write(bytes);
  const [answer, ...others] = await connection.answersToTheEnd();
  expect(others).toEqual([]);
  return { status: answer?.status ?? 0, headers: answer?.headers ?? {}, text: answer?.body ?? "" };
}
