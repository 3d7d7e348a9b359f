import { readFileSync } from "node:fs";
import SwaggerParser from "@apidevtools/swagger-parser";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import spectralCore, { type RulesetDefinition } from "@stoplight/spectral-core";
import spectralRulesets from "@stoplight/spectral-rulesets";
import type { Express, IRouter } from "express";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BadRequest } from "../../src/http/answers.ts";
import { readIdempotencyKey } from "../../src/http/idempotency-key.ts";
import { openApiDocument } from "../../src/http/openapi/document.ts";
import { readOrder } from "../../src/http/order-body.ts";
import { isOrderId } from "../../src/http/order-id.ts";
import type { OrderParts } from "../../src/http/order-routes.ts";
import { publicApp } from "../../src/http/public-app.ts";
import { ERROR_ANSWERS } from "../../src/http/status.ts";
import { ERROR_KINDS, type ErrorKind } from "../../src/orders/error-kind.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { tablesOf } from "../support/markdown.ts";
import { Documented } from "./documented.ts";

const API_PAGE = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");
const documented = (simulated: boolean) => new Documented(JSON.parse(JSON.stringify(openApiDocument(simulated))));

describe.each([true, false])("the document, with providers simulated: %s", (simulated) => {
  const { document, operations } = documented(simulated);

  test("is OpenAPI 3.1 to swagger-parser, which also follows every reference", async () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    const parsed = await SwaggerParser.validate(structuredClone(document));
    expect(parsed.info.version).toBe(document.info.version);
    const broken = structuredClone(document);
    broken.paths["/order"].post.responses = "none";
    await expect(SwaggerParser.validate(broken)).rejects.toThrow();
  });

  test("has nothing that Redocly's recommended rules warn of", async () => {
    const config = await createConfig({ extends: ["recommended"] });
    const rulesBroken = async (source: unknown) =>
      (await lintFromString({ source: JSON.stringify(source), config })).map(({ ruleId }) => ruleId);
    expect(await rulesBroken(document)).toEqual([]);
    const broken = structuredClone(document);
    const order = broken.paths["/order"].post.requestBody.content["application/json"];
    Object.assign(order.examples, order["x-refused-examples"]);
    expect(await rulesBroken(broken)).toEqual(["no-invalid-media-type-examples"]);
  });

  test("has nothing that Spectral's recommended rules call wrong or warn of", async () => {
    const spectral = new spectralCore.Spectral();
    // There is no contact for everybody's server, and a summary says all of some operations.
    spectral.setRuleset({
      extends: spectralRulesets.oas as RulesetDefinition,
      rules: { "info-contact": "off", "operation-description": "off" },
    });
    const rulesBroken = async (source: unknown) => {
      const found = await spectral.run(JSON.stringify(source));
      return [...new Set(found.map(({ code }) => code))].sort();
    };
    expect(await rulesBroken(document)).toEqual([]);
    const broken = structuredClone(document);
    broken.components.schemas.OrderId.pattern = "^\\p{L}+$";
    delete broken.paths["/docs"].get.operationId;
    expect(await rulesBroken(broken)).toEqual(["oas3-valid-media-example", "operation-operationId"]);
  });

  test("has no reference in an extension, where tools do not look, and no pattern that Python cannot read", () => {
    const extensions: string[] = [];
    const patterns: string[] = [];
    JSON.stringify(document, (name, value) => {
      if (name.startsWith("x-")) extensions.push(JSON.stringify(value));
      if (name === "pattern") patterns.push(value);
      return value;
    });
    expect(extensions.length).toBeGreaterThan(5);
    expect(extensions.filter((text) => text.includes('"$ref"'))).toEqual([]);
    expect(patterns.length).toBeGreaterThan(1);
    expect(patterns.filter((pattern) => /\\[pP]\{|\\u\{/.test(pattern))).toEqual([]);
  });

  test("refers to nothing that is not there, and leaves nothing unused", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = ""]) => path);
    const there = Object.entries<object>(document.components)
      .filter(([kind]) => kind !== "securitySchemes")
      .flatMap(([kind, parts]) => Object.keys(parts).map((name) => `components/${kind}/${name}`));
    expect([...new Set(references)].sort()).toEqual(there.sort());
  });

  test("names each operation, says what it is, and lists each status once", () => {
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
    for (const { operation } of operations) {
      expect(operation.summary).toMatch(/./);
      expect(document.tags.map(({ name }: { name: string }) => name)).toContain(operation.tags[0]);
    }
  });

  test("has the routes of the public listener but for the files of its page, and no others", () => {
    const app = publicApp(
      { simulated } as OrderParts,
      () => "ready",
      () => {},
    );
    const routes = routesOf(app).map(({ path, methods }) => [path.replace(/:(\w+)/g, "{$1}"), methods]);
    const known = operations.map(({ path, method }) => [path, [method.toLowerCase()]]);
    expect(routes.sort()).toEqual([...known, ["/docs/{file}", ["get"]]].sort());
    expect(routes.length).toBeGreaterThan(5);
  });

  test("has every kind of the table at its status, and in an answer", () => {
    expect(document["x-error-kinds"]).toEqual(BY_STATUS.map((kind) => ({ kind, ...ERROR_ANSWERS[kind] })));
    const answers = JSON.stringify([document.paths, document.components.responses]);
    // A method that a path does not have is no operation.
    for (const kind of ERROR_KINDS.filter((kind) => kind !== "method_not_allowed"))
      expect(answers).toMatch(new RegExp(`"x-error-kinds":\\[[^\\]]*"${kind}"`));
  });
});

test("the documentation's table of error kinds says what the code says", () => {
  const rows = tablesOf(API_PAGE).flatMap(({ header, rows }) => (header[0] === "kind" ? rows : []));
  expect(rows).toEqual(BY_STATUS.map((kind) => [`\`${kind}\``, String(ERROR_ANSWERS[kind].status), ERROR_ANSWERS[kind].when]));
});

const BY_STATUS = Object.keys(ERROR_ANSWERS) as ErrorKind[];

describe("the schema of an order", () => {
  const schema = documented(true).validator(["components", "schemas", "Order"]);
  const real = documented(false).validator(["components", "schemas", "Order"]);
  const takes = (body: unknown, simulated = true) => {
    try {
      readOrder(Buffer.from(JSON.stringify(body)), simulated);
      return true;
    } catch (error) {
      if (error instanceof BadRequest) return false;
      throw error;
    }
  };

  test("takes what the server takes, and refuses what it refuses", () => {
    const number = fc.oneof(fc.integer({ min: -2, max: 3 }), fc.constantFrom(600_000, 600_001, 2 ** 53 - 1, 2 ** 53, 1.5, "1", null));
    const perStep = fc.dictionary(fc.constantFrom(...STEPS, "shipping"), number, { noNullPrototype: true });
    const order = fc.record(
      {
        order_id: fc.constantFrom("", ".", "..", "a", "a\u200b", " a", "x".repeat(129), 5, null),
        amount: number,
        fail_step: fc.constantFrom(...STEPS, "shipping", null),
        delay_ms: fc.oneof(perStep, fc.constantFrom([], null, 5)),
        cpu_ms: perStep,
        note: fc.constant(1),
      },
      { requiredKeys: [], noNullPrototype: true },
    );
    // Mostly right, or almost all would be refused for one of many reasons.
    const mostlyRight = fc
      .tuple(order, fc.subarray(["order_id", "amount", "fail_step", "delay_ms", "cpu_ms", "note"]))
      .map(([fields, wild]) => ({
        order_id: "a",
        amount: 1,
        ...Object.fromEntries(Object.entries(fields).filter(([name]) => wild.slice(0, 2).includes(name))),
      }));
    const seen = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(mostlyRight, (body) => {
        const taken = takes(body);
        expect(schema(body)).toBe(taken);
        expect(real(body)).toBe(takes(body, false));
        seen[taken ? "taken" : "refused"]++;
      }),
      { numRuns: 300 },
    );
    expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(20);
  });

  test("has the very rules of an order_id, but for NFC, lone surrogates, and format characters past the first 65 536", () => {
    const id = documented(true).validator(["components", "schemas", "OrderId"]);
    const parts = fc.constantFrom("a", "é", "漢", "😀", " ", "\u00a0", "\u200b", "\u0000", ".", "..", "x".repeat(126), "😀".repeat(126));
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 4 }), (given) => {
        const text = given.join("").normalize("NFC");
        expect(id(text)).toBe(isOrderId(text));
      }),
      { numRuns: 2_000 },
    );
    for (const right of ["a", "é", "x".repeat(128), "😀".repeat(128), "a b"])
      expect([right, isOrderId(right), id(right)]).toEqual([right, true, true]);
    for (const wrong of ["", ".", "..", " a", "a ", "\u200b", "x".repeat(129)])
      expect([wrong, isOrderId(wrong), id(wrong)]).toEqual([wrong, false, false]);
    // The list of characters in the pattern is the one of this Node's Unicode.
    const different = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).filter(
      (one) => !/\p{Cs}/u.test(one) && one === one.normalize("NFC") && id(`1${one}1`) !== isOrderId(`1${one}1`),
    );
    expect(different).toEqual([]);
    for (const passes of ["e\u0301", "\ud800", "\u{e0001}"]) expect([passes, isOrderId(passes), id(passes)]).toEqual([passes, false, true]);
  });
});

test("the schema of an Idempotency-Key takes what the server takes", () => {
  const [parameter] = documented(true).find("POST", "/order").parameters;
  expect(parameter.name).toBe("Idempotency-Key");
  const pattern = new RegExp(parameter.schema.pattern, "u");
  const key = (text: string) => {
    try {
      return readIdempotencyKey(text, { orderId: "a", amount: 1 }, "", 0)?.key;
    } catch (error) {
      if (error instanceof BadRequest) return undefined;
      throw error;
    }
  };
  const long = "k".repeat(255);
  const taken = { k: "k", '"k"': "k", '"': '"', '"k': '"k', 'k"': 'k"', [long]: long, [`"${long}"`]: long, '"""': '"' };
  for (const [text, expected] of Object.entries(taken)) expect([text, key(text), pattern.test(text)]).toEqual([text, expected, true]);
  const refused = ["", '""', "a b", "é", "\u007f", `${long}k`, `"${long}k"`, `"${long}k`];
  for (const text of refused) expect([text, key(text), pattern.test(text)]).toEqual([text, undefined, false]);
});

interface Route {
  readonly path: string;
  readonly methods: string[];
}

interface Layer {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
  readonly handle: { readonly stack?: readonly Layer[] };
}

/** The routes of an application and of the routers within it, each with the methods that it has handlers for. */
function routesOf(router: Express | IRouter): Route[] {
  const stack = "router" in router ? (router.router as unknown as { stack: Layer[] }).stack : [];
  return routesIn(stack);
}

function routesIn(stack: readonly Layer[]): Route[] {
  return stack.flatMap(({ route, handle }) => {
    if (route === undefined) return routesIn(handle.stack ?? []);
    // `_all` is the refusal of other methods.
    return [{ path: route.path, methods: Object.keys(route.methods).filter((method) => method !== "_all") }];
  });
}
