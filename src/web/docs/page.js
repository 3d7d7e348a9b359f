import { breakable, element, inline, methodBadge, prose, statusBadge } from "./element.js";
import { commonAnswers, operationView, schemaView } from "./operation-view.js";

/** @typedef {import("./operation-view.js").Documented} Documented */
/** @typedef {{ method: string, path: string, operation: import("./operation-view.js").Operation }} Entry */

const METHODS = ["get", "put", "post", "delete", "patch"];

/** @param {Documented} doc @returns {Entry[]} */
function operationsOf(doc) {
  return Object.entries(doc.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [{ method, path, operation }];
    }),
  );
}

/** @param {Documented} doc @param {Entry[]} entries */
function contents(doc, entries) {
  const groups = doc.tags.flatMap(({ name }) => [
    element("h2", {}, name),
    element(
      "ul",
      {},
      ...entries
        .filter(({ operation }) => operation.tags.includes(name))
        .map(({ method, path, operation }) =>
          element(
            "li",
            {},
            element("a", { href: `#${operation.operationId}` }, methodBadge(method), " ", element("code", {}, ...breakable(path))),
          ),
        ),
    ),
  ]);
  const rest = element(
    "ul",
    {},
    element("li", {}, element("a", { href: "#common-answers" }, "Answers to any request")),
    element("li", {}, element("a", { href: "#error-kinds" }, "Error kinds")),
    element("li", {}, element("a", { href: "#schemas" }, "Schemas")),
    element("li", {}, element("a", { href: "openapi.json" }, "openapi.json")),
  );
  const list = element("details", { open: true }, element("summary", {}, "Contents"), ...groups, element("h2", {}, "reference"), rest);
  // On a narrow page the contents stand above the text, so they are closed.
  list.open = matchMedia("(min-width: 60rem)").matches;
  return list;
}

/** @param {Documented} doc */
function errorKinds(doc) {
  const rows = doc["x-error-kinds"].map(({ kind, status, when }) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, ...breakable(kind))),
      element("td", {}, statusBadge(status)),
      element("td", {}, ...inline(when)),
    ),
  );
  const head = ["Kind", "Status", "When"].map((title) => element("th", { scope: "col" }, title));
  return element(
    "section",
    { id: "error-kinds", "aria-labelledby": "error-kinds-title" },
    element("h2", { id: "error-kinds-title" }, "Error kinds"),
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
  );
}

/** @param {Documented} doc */
function show(doc) {
  const entries = operationsOf(doc);
  const main = document.querySelector("main");
  document.querySelector("nav")?.replaceChildren(contents(doc, entries));
  main?.replaceChildren(
    element(
      "header",
      {},
      element("h1", {}, doc.info.title, " ", element("small", {}, `API ${doc.info.version}`)),
      ...prose(doc.info.description),
    ),
    ...doc.tags.flatMap(({ name, description }) => [
      element("h2", {}, name.slice(0, 1).toUpperCase() + name.slice(1)),
      ...prose(description),
      ...entries
        .filter(({ operation }) => operation.tags.includes(name))
        .map(({ method, path, operation }) => operationView(doc, method, path, operation)),
    ]),
    commonAnswers(doc),
    errorKinds(doc),
    element(
      "section",
      { id: "schemas", "aria-labelledby": "schemas-title" },
      element("h2", { id: "schemas-title" }, "Schemas"),
      ...Object.entries(doc.components.schemas).map(([name, schema]) => schemaView(name, schema)),
    ),
  );
  main?.setAttribute("aria-busy", "false");
  // The browser looked for the element of the address before it was made.
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  const main = document.querySelector("main");
  main?.replaceChildren(
    element("p", { class: "failure", role: "alert" }, `openapi.json could not be read: ${error instanceof Error ? error.message : error}`),
  );
  main?.setAttribute("aria-busy", "false");
}
