import { ask, Refused } from "../admin-api.js";
import { element, whileDisabled } from "../elements.js";

/**
 * @callback Act sends a request for a button, and shows beside the button what came of it
 * @param {HTMLButtonElement} button disabled until the answer is there
 * @param {HTMLElement} output
 * @param {string} path
 * @param {unknown} body
 * @param {(answer: any) => string} textOf
 * @returns {Promise<void>}
 */

/**
 * @param {(text: string) => void} announce
 * @param {() => void} onEnd after every answer and refusal
 * @returns {Act}
 */
export function actions(announce, onEnd) {
  return async (button, output, path, body, textOf) => {
    output.textContent = "…";
    /** @type {string} */
    let text;
    try {
      // `textOf` may disable the button for good.
      text = textOf(await whileDisabled(button, () => ask(path, body)));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      text = error.message;
    }
    output.textContent = text;
    announce(text);
    onEnd();
  };
}

export function outputBeside() {
  return element("output", { class: "says" });
}
