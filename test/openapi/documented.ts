import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { send } from "../support/http-client.ts";

// biome-ignore lint/suspicious/noExplicitAny: tests look into a document whose shape is what they test.
export type Any = any;

/** An operation of an OpenAPI document. */
export interface DocumentedOperation {
  readonly method: string;
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly operation: any;
}

/** An answer as it came, wherever it came from. */
export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** The OpenAPI document of a server, and what it says of answers. */
export class Documented {
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly document: any;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });

  // biome-ignore lint/suspicious/noExplicitAny: as above.
  constructor(document: any) {
    this.document = document;
    // Clients have to bear fields that they do not know; a field that the document does not know is a mistake here.
    const closed = structuredClone(document);
    for (const schema of Object.values(closed.components.schemas)) close(schema);
    this.#ajv.addSchema(closed, "document");
  }

  static async of(port: number): Promise<Documented> {
    return new Documented((await send(port, { path: "/openapi.json" })).json);
  }

  get operations(): DocumentedOperation[] {
    return Object.entries<Any>(this.document.paths).flatMap(([path, item]) =>
      Object.entries(item)
        .filter(([method]) => !method.startsWith("x-"))
        .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    );
  }

  find(method: string, path: string): Any {
    return this.operations.find((one) => one.method === method && one.path === path)?.operation;
  }

  /** What a `$ref` stands for; anything else stands for itself. */
  resolve(part: Any): Any {
    if (part?.$ref === undefined) return part;
    return part.$ref
      .slice(2)
      .split("/")
      .reduce((at: Any, name: string) => at[name], this.document);
  }

  /** The check of a schema, by its pointer within the document. */
  validator(pointer: readonly string[]): ValidateFunction {
    const path = pointer.map((name) => encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");
    return this.#ajv.compile({ $ref: `document#/${path}` });
  }

  /** What is wrong with an answer, in the document's eyes; nothing where it is as documented. */
  offences(method: string, path: string, { status, headers, text }: Answered): string[] {
    const pointer = ["paths", path, method.toLowerCase(), "responses", String(status)];
    const given = this.find(method, path)?.responses[status];
    if (given === undefined) return [`${status} is not documented`];
    const response = this.resolve(given);
    const at = given.$ref === undefined ? pointer : given.$ref.slice(2).split("/");
    const missing = Object.entries(response.headers ?? {})
      .filter(([name, header]) => this.resolve(header).required === true && headers[name.toLowerCase()] === undefined)
      .map(([name]) => `${name} is missing`);
    const sent = String(headers["content-type"] ?? "").split(";")[0] ?? "";
    if (response.content === undefined) return [...missing, ...(text === "" ? [] : ["a body that is not documented"])];
    if (response.content[sent] === undefined) return [...missing, `the content type ${sent} is not documented`];
    const body = sent === "application/json" ? JSON.parse(text) : text;
    const validate = this.validator([...at, "content", sent, "schema"]);
    const wrong = validate(body) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
    const kinds: string[] | undefined = response["x-error-kinds"];
    if (kinds !== undefined && !kinds.includes(body.error.kind)) wrong.push(`the kind ${body.error.kind} is not documented`);
    return [...missing, ...wrong];
  }
}

function close(schema: Any): void {
  if (typeof schema !== "object" || schema === null) return;
  if (schema.properties !== undefined) schema.additionalProperties = false;
  for (const part of Object.values(schema)) close(part);
}
