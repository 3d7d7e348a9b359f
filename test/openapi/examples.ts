import { expect } from "vitest";
import { postOrder, send } from "../support/http-client.ts";
import type { CheckedAnswers } from "./checked-answers.ts";
import type { Any, Documented } from "./documented.ts";

/** Sends every example of the document to a server that has had no others, and compares what it answers. */
export async function sendExamples(port: number, answers: CheckedAnswers): Promise<void> {
  await sendOrders(port, answers);
  await sendLookUps(port, answers);
}

async function sendOrders(port: number, answers: CheckedAnswers): Promise<void> {
  const { requestBody, parameters, responses } = answers.documented.find("POST", "/order");
  const { examples: taken, "x-refused-examples": refused } = requestBody.content["application/json"];
  const examples = Object.entries<Any>({ ...taken, ...refused });
  expect(examples.length).toBeGreaterThan(7);
  for (const [name, { value }] of examples) {
    const headers = Object.fromEntries(
      parameters.flatMap((parameter: Any) => (name in parameter.examples ? [[parameter.name, parameter.examples[name].value]] : [])),
    );
    const answer = await postOrder(port, value, { headers });
    answers.check("POST", "/order", answer);
    expect([name, answer.status, timeless(answer.json)]).toEqual([name, ...expectedOf(answers.documented, responses, name)]);
    if (name === "with_headers") {
      expect(answer.headers["x-request-id"]).toBe(headers["X-Request-Id"]);
      const again = await postOrder(port, value, { headers });
      answers.check("POST", "/order", again);
      expect(again.headers["idempotent-replayed"]).toBe("true");
      expect(again.text).toBe(answer.text);
    }
  }
}

async function sendLookUps(port: number, answers: CheckedAnswers): Promise<void> {
  const { parameters, responses } = answers.documented.find("GET", "/order/{order_id}");
  const [id, before] = parameters;
  expect([id.name, before.name]).toEqual(["order_id", "before"]);
  expect(Object.keys(id.examples).length).toBeGreaterThan(3);
  for (const [name, { value }] of Object.entries<Any>(id.examples)) {
    const query = name in before.examples ? `?before=${before.examples[name].value}` : "";
    const answer = await send(port, { path: `/order/${encodeURIComponent(value)}${query}` });
    answers.check("GET", "/order/{order_id}", answer);
    expect([name, answer.status, timeless(answer.json)]).toEqual([name, ...expectedOf(answers.documented, responses, name)]);
  }
  expect(Object.keys(before.examples)).not.toEqual([]);
  for (const name of Object.keys(before.examples)) expect(id.examples).toHaveProperty(name);
}

/** Status and body that an example of this name stands under. */
export function expectedOf(documented: Documented, responses: Any, name: string): [number, Any] {
  const found = Object.entries<Any>(responses).flatMap(([status, given]) => {
    const example = documented.resolve(given).content?.["application/json"]?.examples?.[name];
    return example === undefined ? [] : [[Number(status), timeless(example.value)] as [number, Any]];
  });
  expect([name, found.length]).toEqual([name, 1]);
  return found[0] as [number, Any];
}

/** What another run of the same has, too: without times. */
function timeless(value: Any): Any {
  const text = JSON.stringify(value, (name, part) => (/_ms$|_at$/.test(name) ? typeof part : part));
  return JSON.parse(text);
}
