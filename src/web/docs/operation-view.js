import { breakable, codeBlock, element, methodBadge, prose, statusBadge } from "./element.js";
import { nameOf, propertyList, row, schemaLink, typeOf } from "./schema-view.js";
import { trial } from "./trial.js";

/** @typedef {import("./schema-view.js").Schema} Schema */
/** @typedef {Readonly<Record<string, { summary?: string, value: unknown }>>} Examples */

/**
 * @typedef {object} Parameter
 * @property {string} name
 * @property {"path" | "query" | "header"} in
 * @property {boolean} [required]
 * @property {string} [description]
 * @property {Schema} schema
 * @property {Examples} [examples]
 */

/** @typedef {Readonly<Record<string, { schema: Schema, examples?: Examples, "x-refused-examples"?: Examples }>>} Content by media type */

/**
 * @typedef {object} Reply
 * @property {string} [$ref] it is one of the answers that any request may get
 * @property {string} description
 * @property {Readonly<Record<string, Header>>} [headers]
 * @property {Content} [content]
 */

/** @typedef {{ description?: string, required?: boolean, schema: Schema }} Header */

/**
 * @typedef {object} Operation
 * @property {string} operationId
 * @property {string} summary
 * @property {string} [description]
 * @property {readonly string[]} tags
 * @property {readonly Record<string, unknown>[]} security
 * @property {readonly Parameter[]} [parameters]
 * @property {{ content: Content }} [requestBody]
 * @property {Readonly<Record<string, Reply>>} responses
 */

/**
 * @typedef {object} Documented the OpenAPI document
 * @property {{ title: string, version: string, description: string }} info
 * @property {readonly { name: string, description: string }[]} tags
 * @property {Readonly<Record<string, Readonly<Record<string, Operation>>>>} paths
 * @property {{ schemas: Readonly<Record<string, Schema>>, responses: Readonly<Record<string, Reply>>, headers: Readonly<Record<string, Header>> }} components
 * @property {"simulated" | "real"} x-providers
 * @property {readonly { kind: string, status: number, when: string }[]} x-error-kinds
 */

/**
 * All that the document says of one operation, and a form to try it.
 * @param {Documented} document
 * @param {string} method
 * @param {string} path
 * @param {Operation} operation
 */
export function operationView(document, method, path, operation) {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const body = requestBody?.content["application/json"];
  const bodySchema = body?.schema.$ref === undefined ? body?.schema : document.components.schemas[nameOf(body.schema.$ref)];
  const own = Object.entries(responses).filter(([, { $ref }]) => $ref === undefined);
  const common = Object.entries(responses).flatMap(([status, { $ref }]) => ($ref === undefined ? [] : [status]));
  return element(
    "section",
    { id: operationId, class: "operation", "aria-labelledby": `${operationId}-title` },
    element(
      "div",
      { class: "about" },
      element("h3", { id: `${operationId}-title` }, methodBadge(method), " ", element("code", { class: "path" }, ...breakable(path))),
      element("p", { class: "summary" }, summary),
      ...prose(description),
    ),
    trial(document, method, path, operation),
    element(
      "div",
      { class: "reference" },
      parameters.length > 0 && element("h4", {}, "Parameters"),
      parameters.length > 0 && parameterList(parameters),
      bodySchema !== undefined && element("h4", {}, "Body"),
      bodySchema !== undefined && propertyList(bodySchema),
      element("h4", {}, "Answers"),
      element(
        "div",
        { class: "answers" },
        ...own.map(([status, reply]) => replyView(document, status, reply)),
        element("p", {}, "Besides: ", element("a", { href: "#common-answers" }, "answers to any request"), ` (${common.join(", ")})`),
      ),
    ),
  );
}

/**
 * The answers that any request may get, once for all operations.
 * @param {Documented} document
 */
export function commonAnswers(document) {
  const statuses = new Map(
    Object.values(document.paths)
      .flatMap((item) => Object.values(item))
      .flatMap(({ responses }) => Object.entries(responses))
      .flatMap(([status, { $ref }]) => ($ref === undefined ? [] : [[nameOf($ref), status]])),
  );
  return element(
    "section",
    { id: "common-answers", "aria-labelledby": "common-answers-title" },
    element("h2", { id: "common-answers-title" }, "Answers to any request"),
    element(
      "div",
      { class: "answers" },
      ...Object.entries(document.components.responses).map(([name, reply]) => replyView(document, statuses.get(name) ?? "", reply)),
    ),
  );
}

/** @param {readonly Parameter[]} parameters */
function parameterList(parameters) {
  const rows = parameters.map(({ name, in: where, required = false, schema, description }) => {
    const made = row(name, required, schema, undefined, description);
    made.querySelector(".what")?.append(element("span", { class: "where" }, `in ${where}`));
    return made;
  });
  return element("ul", { class: "rows" }, ...rows);
}

/**
 * @param {Documented} document
 * @param {string} status
 * @param {Reply} reply
 */
function replyView(document, status, reply) {
  const { description, headers = {}, content = {} } = reply;
  const bodies = Object.entries(content).map(([type, { schema }]) => [type, typeOf(schema)]);
  return element(
    "details",
    {},
    element("summary", {}, statusBadge(status), " ", element("span", {}, brief(description))),
    ...prose(description),
    ...bodies.map(([type = "", words = ""]) => element("p", {}, element("code", {}, String(type)), ": ", ...words)),
    ...Object.values(content).flatMap(({ examples = {} }) => Object.entries(examples).map(exampleView)),
    element("p", { class: "label" }, "Headers"),
    element(
      "ul",
      { class: "rows" },
      ...Object.keys(headers).map((name) => {
        const { required = false, schema = {}, description: about } = document.components.headers[name] ?? {};
        return row(name, required, schema, undefined, about);
      }),
    ),
  );
}

/** @param {[string, { summary?: string, value: unknown }]} example */
function exampleView([name, { summary, value }]) {
  return element(
    "figure",
    {},
    element("figcaption", {}, summary ?? name),
    codeBlock(JSON.stringify(value, null, 2), `Example: ${summary ?? name}`),
  );
}

/** The error kinds in the description of an answer, or the description. @param {string} description */
function brief(description) {
  const kinds = [...description.matchAll(/^\* `(\w+)`:/gm)].map(([, kind]) => kind);
  return kinds.length > 0 ? kinds.join(", ") : description.replaceAll("`", "");
}

/**
 * A named schema.
 * @param {string} name
 * @param {Schema} schema
 */
export function schemaView(name, schema) {
  const { description, properties } = schema;
  return element(
    "section",
    { id: `schema-${name}`, class: "schema", "aria-labelledby": `schema-${name}-title` },
    element("h3", { id: `schema-${name}-title` }, schemaLink(name)),
    ...prose(description),
    properties === undefined ? element("p", { class: "type" }, ...typeOf(schema)) : propertyList(schema),
  );
}
