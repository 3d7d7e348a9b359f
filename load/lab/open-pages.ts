import { get } from "node:http";

// A process of its own for the experiment `pages`: so many streams of `GET /events`, each message parsed as a page does. Says on its standard
// output when all are live, and then every second how many messages each had on average.
const [, , adminUrl = "", count = "0"] = process.argv;
const SAY_EVERY_MS = 1_000;

let live = 0;
let messages = 0;

for (let n = 0; n < Number(count); n++) {
  get(`${adminUrl}/events`, { agent: false }, (response) => {
    if (response.statusCode !== 200) throw new Error(`GET /events: ${response.statusCode}`);
    let rest = "";
    let isLive = false;
    response.setEncoding("utf8").on("data", (text: string) => {
      const parts = (rest + text).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        JSON.parse(part.slice(part.indexOf("data: ") + "data: ".length));
        messages++;
      }
      if (isLive || parts.length === 0) return;
      isLive = true;
      if (++live === Number(count)) process.stdout.write("all pages are live\n");
    });
    response.on("close", () => process.exit(1));
  });
}
setInterval(() => {
  process.stdout.write(`a page had ${(messages / Number(count)).toFixed(1)} messages per second\n`);
  messages = 0;
}, SAY_EVERY_MS);
