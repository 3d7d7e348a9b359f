/** @import { Trouble } from "./troubles.js" */
import { Refused } from "../admin-api.js";
import { element } from "../elements.js";
import { TROUBLES } from "./troubles.js";

/**
 * The panel of the trouble: buttons, while providers are simulated, and below them what is to be seen of the one that is pointed at.
 *
 * @param {HTMLElement} place
 * @param {(text: string) => void} announce
 * @returns {(simulated: boolean) => void}
 */
export function trouble(place, announce) {
  /** @type {boolean | undefined} */
  let before;
  const [press, watch, go, came] = [element("p"), element("p"), element("p"), element("p")];
  const explained = element("div", { class: "explained", "aria-hidden": true }, press, watch, go, came);
  const explain = (/** @type {Trouble} */ one, /** @type {string} */ outcome) => {
    came.replaceChildren(...(outcome === "" ? [] : [element("b", {}, "Result "), outcome]));
    press.replaceChildren(element("b", {}, "Press "), one.name);
    watch.replaceChildren(element("b", {}, "Watch "), one.watch);
    go.replaceChildren(element("b", {}, "In Go "), one.go);
  };
  return (simulated) => {
    if (simulated === before) return;
    before = simulated;
    // With real providers there is no such route, and the other panels take the room.
    document.body.classList.toggle("real", !simulated);
    place.replaceChildren();
    if (!simulated) return;
    for (const { title, troubles } of TROUBLES) {
      place.append(element("h3", {}, title), element("ul", { class: "troubles" }, ...troubles.map((one) => item(one, announce, explain))));
    }
    place.append(explained);
    if (TROUBLES[0]?.troubles[1] !== undefined) explain(TROUBLES[0].troubles[1], "");
  };
}

/** @param {Trouble} trouble @param {(text: string) => void} announce @param {(one: Trouble, outcome: string) => void} explain */
function item(trouble, announce, explain) {
  const { name, watch, go, make } = trouble;
  const id = `trouble-${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
  const button = element("button", { type: "button", id, "aria-describedby": `${id}-about` }, name);
  const says = element("output", { class: "says", for: id });
  let running = 0;
  const say = (/** @type {string} */ text) => {
    says.textContent = text;
    explain(trouble, text);
  };
  for (const event of ["pointerenter", "focus", "click"]) button.addEventListener(event, () => explain(trouble, says.textContent));
  button.addEventListener("click", async () => {
    running++;
    button.classList.add("running");
    say("under way");
    try {
      const text = await make(say);
      say(text);
      announce(`${name}: ${text}`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say(error.message);
      announce(`${name}: ${error.message}`);
    } finally {
      if (--running === 0) button.classList.remove("running");
    }
  });
  return element("li", {}, button, says, element("p", { id: `${id}-about`, class: "unseen" }, `Watch ${watch}. In Go: ${go}.`));
}
