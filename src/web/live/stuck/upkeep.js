/** @import { Act } from "./action.js" */
import { byId, element } from "../elements.js";
import { actions, outputBeside } from "./action.js";

/** What the panel says of each state of the receiver. @type {Readonly<Record<string, string>>} */
const RECEIVER_STATES = {
  none: "none is configured (WEBHOOK_URL).",
  up: "up.",
  down: "down; it is tried again by itself, and nothing is lost.",
  disabled: "disabled: it answered 410. Nothing is sent until you say so.",
};

/**
 * The panel with the receiver of events and the backup.
 *
 * @param {(text: string) => void} announce
 * @returns {(state: string) => void} shows a state of the receiver
 */
export function upkeep(announce) {
  const act = actions(announce, () => {});
  const receiver = element("p", { id: "receiver" });
  const output = outputBeside();
  byId("upkeep-body", HTMLElement).append(
    element("section", {}, element("h3", {}, "Receiver of events"), receiver, output),
    element("section", {}, element("h3", {}, "Backup"), backupForm(act)),
  );
  let before = "";
  return (state) => {
    if (state === before) return;
    before = state;
    receiver.replaceChildren(RECEIVER_STATES[state] ?? state);
    if (state !== "disabled") return;
    output.replaceChildren();
    const button = element("button", { type: "button" }, "Resume");
    button.addEventListener("click", () => act(button, output, "/webhooks/resume", {}, ({ receiver: now }) => `resumed: ${now}`));
    receiver.append(" ", button);
  };
}

/** @param {Act} act */
function backupForm(act) {
  const name = element("input", { name: "name", required: true, autocomplete: "off", spellcheck: "false", placeholder: "monday.db" });
  const button = element("button", { type: "submit" }, "Back up");
  const output = outputBeside();
  const form = element("form", { class: "inline" }, element("label", {}, "File name ", name), button, output);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void act(button, output, "/backup", { name: name.value }, ({ bytes, duration_ms }) => `${bytes} bytes in ${duration_ms} ms`);
  });
  return form;
}
