import { codeBlock, element, statusBadge } from "./element.js";

/** @typedef {import("./operation-view.js").Documented} Documented */
/** @typedef {import("./operation-view.js").Content} Content */
/** @typedef {import("./operation-view.js").Operation} Operation */

// What a line holds where the page is narrow.
const SHORT_COMMAND = 60;
// An order is placed once. So these fields get an ending that is new with each page, the same for all examples that name one order.
const IDENTITIES = ["order_id", "Idempotency-Key"];
let ending = newEnding();

function newEnding() {
  return Array.from(crypto.getRandomValues(new Uint8Array(3)), (byte) => byte.toString(36).padStart(2, "0")).join("");
}

/**
 * A form that sends the operation's request to this server and shows the answer.
 * @param {Documented} document
 * @param {string} method
 * @param {string} path
 * @param {Operation} operation
 */
export function trial(document, method, path, operation) {
  const { operationId, summary, parameters = [], requestBody, security } = operation;
  const body = requestBody?.content["application/json"];
  const examples = examplesOf(body) ?? parameters.find(({ in: where }) => where === "path")?.examples ?? {};
  const id = (/** @type {string} */ name) => `${operationId}-${name}`;

  const chooser = element(
    "select",
    { id: id("example") },
    ...Object.entries(examples).map(([name, example]) => element("option", { value: name }, plain(example.summary ?? name))),
  );
  const text = element("textarea", { id: id("body"), spellcheck: "false", autocomplete: "off" });
  const inputs = parameters.map((parameter) => ({
    parameter,
    input: element("input", { id: id(parameter.name), required: parameter.required, spellcheck: "false", autocomplete: "off" }),
  }));
  const keyInput = element("input", { id: id("key"), type: "password", autocomplete: "off", spellcheck: "false" });
  const command = element("div", { class: "command" });
  const result = element("div", { class: "result", role: "status" });
  const send = element("button", { type: "submit" }, "Send");
  const renew = element("button", { type: "button", class: "quiet" }, "New ids");

  /** Puts the chosen example into the form. */
  function fill() {
    const name = chooser.value;
    const value = examples[name]?.value;
    if (body !== undefined) text.value = JSON.stringify(withEnding(value), null, 2);
    // And a line to write on, so that the answer below is in sight.
    text.rows = text.value.split("\n").length + 1;
    for (const { parameter, input } of inputs) {
      const shown = parameter.examples?.[name]?.value;
      input.value = shown === undefined ? "" : IDENTITIES.includes(parameter.name) ? `${shown}-${ending}` : String(shown);
    }
    showCommand();
  }

  /** The request as the form has it. */
  function request() {
    let target = path.slice(1);
    const url = new URLSearchParams();
    /** @type {Record<string, string>} */
    const headers = {};
    for (const { parameter, input } of inputs) {
      if (input.value === "") continue;
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (parameter.in === "query") url.set(parameter.name, input.value);
      else headers[parameter.name] = input.value;
    }
    if (keyInput.value !== "") headers.Authorization = `Bearer ${keyInput.value}`;
    const query = url.size > 0 ? `?${url}` : "";
    return { url: new URL(target + query, window.document.baseURI), headers, body: body === undefined ? undefined : text.value };
  }

  function showCommand() {
    const { url, headers, body: sent } = request();
    const parts = [
      "curl -i",
      ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${name === "Authorization" ? "Bearer KEY" : value}`)}`),
      ...(sent === undefined ? [] : [`-d ${quoted(compact(sent))}`]),
      quoted(url.href),
    ];
    const oneLine = parts.join(" ");
    const text = oneLine.length <= SHORT_COMMAND ? oneLine : parts.join(" \\\n  ");
    command.replaceChildren(codeBlock(text, "The same request with curl"));
  }

  async function submit() {
    const { url, headers, body: sent } = request();
    send.disabled = true;
    result.replaceChildren(element("p", {}, "Waiting for the answer …"));
    const startedMs = performance.now();
    try {
      const init = { method: method.toUpperCase(), headers, ...(sent !== undefined && { body: sent }) };
      const answer = await fetch(url, init);
      const received = await answer.text();
      result.replaceChildren(...answerView(answer, received, performance.now() - startedMs));
    } catch (error) {
      result.replaceChildren(element("p", { class: "failure" }, `No answer: ${error instanceof Error ? error.message : error}`));
    } finally {
      send.disabled = false;
      send.focus({ preventScroll: true });
    }
  }

  const headerFields = inputs
    .filter(({ parameter }) => parameter.in === "header")
    .map(({ parameter, input }) => field(parameter.name, input));
  const otherFields = inputs
    .filter(({ parameter }) => parameter.in !== "header")
    .map(({ parameter, input }) => field(parameter.name, input));
  const keyed = security.some((scheme) => "apiKey" in scheme);
  const pays = body !== undefined && document["x-providers"] === "real";
  const form = element(
    "form",
    { class: "fields" },
    chooser.options.length > 0 && field("Example", chooser),
    body !== undefined && field("Body", text),
    ...otherFields,
    (headerFields.length > 0 || keyed) &&
      element(
        "details",
        { class: "headers" },
        element("summary", {}, "Headers"),
        ...headerFields,
        keyed && field("API key (only where keys are configured)", keyInput),
      ),
    pays &&
      element(
        "label",
        { class: "consent" },
        element("input", { type: "checkbox", required: true }),
        "The providers of this server are real: I know that this order is paid for.",
      ),
    element("div", { class: "buttons" }, send, chooser.options.length > 0 && renew),
  );

  chooser.addEventListener("change", fill);
  form.addEventListener("input", showCommand);
  // Kept in the forms only, because scripts and extensions can read a browser's storage.
  keyInput.addEventListener("change", () => {
    for (const other of window.document.querySelectorAll("input[type=password]")) {
      if (!(other instanceof HTMLInputElement) || other === keyInput) continue;
      other.value = keyInput.value;
      other.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  renew.addEventListener("click", () => {
    ending = newEnding();
    window.document.dispatchEvent(new Event("new-ids"));
  });
  window.document.addEventListener("new-ids", fill);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  fill();
  return element(
    "div",
    { class: "trial", role: "group", "aria-label": `Try it: ${summary}` },
    element("h4", {}, "Try it"),
    command,
    form,
    result,
  );
}

/**
 * @param {Response} answer
 * @param {string} received
 * @param {number} ms
 */
function answerView(answer, received, ms) {
  const shown = ["idempotent-replayed", "retry-after", "etag", "x-request-id"];
  const headers = shown.flatMap((name) => (answer.headers.has(name) ? [`${name}: ${answer.headers.get(name)}`] : []));
  return [
    element("p", {}, statusBadge(answer.status), ` after ${Math.round(ms)} ms`),
    headers.length > 0 && codeBlock(headers.join("\n"), "Headers of the answer"),
    received !== "" && codeBlock(indented(received), "Body of the answer"),
  ].filter((part) => part !== false);
}

/**
 * @param {string} label
 * @param {HTMLElement} control
 */
function field(label, control) {
  return element("div", { class: "field" }, element("label", { for: control.id }, label), control);
}

/** Bodies that the schema takes, and those that show what the server says to others. @param {Content[string] | undefined} body */
function examplesOf(body) {
  return body && { ...body.examples, ...body["x-refused-examples"] };
}

/** @param {unknown} value */
function withEnding(value) {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, IDENTITIES.includes(name) ? `${part}-${ending}` : part]));
}

/** @param {string} text */
function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Without white space, and otherwise as it was typed: parsing would round numbers, and drop fields that stand twice. @param {string} text */
function compact(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
}

/** For a shell. @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {string} text */
function plain(text) {
  return text.replaceAll("`", "");
}
