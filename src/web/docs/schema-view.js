import { element, inline } from "./element.js";

/**
 * @typedef {object} Schema the parts of JSON Schema that the document uses
 * @property {string} [$ref]
 * @property {string} [type]
 * @property {string} [format]
 * @property {string} [description]
 * @property {readonly string[]} [enum]
 * @property {unknown} [const]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [minLength]
 * @property {number} [maxLength]
 * @property {number} [minItems]
 * @property {number} [maxItems]
 * @property {Schema} [items]
 * @property {Readonly<Record<string, Schema>>} [properties]
 * @property {readonly string[]} [required]
 * @property {readonly Schema[]} [anyOf]
 */

/** @param {string} reference */
export function nameOf(reference) {
  return reference.slice(reference.lastIndexOf("/") + 1);
}

/**
 * The type of a value in a few words, with links to named schemas.
 * @param {Schema} schema
 * @returns {(HTMLElement | string)[]}
 */
export function typeOf(schema) {
  if (schema.$ref !== undefined) return [schemaLink(nameOf(schema.$ref))];
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((one, index) => [index === 0 ? "" : " or ", ...typeOf(one)]);
  if (schema.const !== undefined) return [element("code", {}, JSON.stringify(schema.const))];
  if (schema.enum !== undefined)
    return schema.enum.flatMap((value, index) => [index === 0 ? "" : " | ", element("code", {}, JSON.stringify(value))]);
  if (schema.type === "array") return [`array${itemRange(schema)} `, ...typeOf(schema.items ?? {})];
  return [`${schema.format ?? schema.type ?? "anything"}${range(schema)}`];
}

/** @param {string} name */
export function schemaLink(name) {
  return element("a", { href: `#schema-${name}` }, name);
}

/**
 * The properties of an object, with the properties of nested objects below them.
 * @param {Schema} schema
 * @returns {HTMLElement}
 */
export function propertyList(schema) {
  const required = new Set(schema.required ?? []);
  const entries = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const nested = property.properties !== undefined ? property : property.items?.properties !== undefined ? property.items : undefined;
    return row(name, required.has(name), property, nested && propertyList(nested));
  });
  return element("ul", { class: "rows" }, ...entries);
}

/**
 * One named value: a property, a parameter or a header.
 * @param {string} name
 * @param {boolean} required
 * @param {Schema} schema
 * @param {HTMLElement} [below]
 * @param {string} [description]
 */
export function row(name, required, schema, below, description = schema.description) {
  return element(
    "li",
    {},
    element(
      "div",
      { class: "what" },
      element("code", { class: "name" }, name),
      element("span", { class: "type" }, ...typeOf(schema)),
      required && element("span", { class: "required" }, "required"),
    ),
    description !== undefined && element("p", {}, ...inline(description)),
    below,
  );
}

/** @param {Schema} schema */
function range({ type, minimum, maximum, minLength, maxLength }) {
  if (type === "string" && maxLength !== undefined) return `, ${minLength ?? 0} to ${maxLength} characters`;
  // The largest integer that JSON readers agree on is a limit of JSON and not of the field.
  const isLimited = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  if (minimum !== undefined) return isLimited ? ` from ${minimum} to ${maximum}` : ` from ${minimum}`;
  return isLimited ? ` up to ${maximum}` : "";
}

/** @param {Schema} schema */
function itemRange({ minItems, maxItems }) {
  if (maxItems === undefined) return " of";
  return minItems === maxItems ? ` of ${maxItems}` : ` of at most ${maxItems}`;
}
