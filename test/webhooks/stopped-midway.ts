// A process that stops a delivery in the midst of requests answered, broken off and not answered, a retry waiting and a
// pause asked for. Prints what kept it alive before, during and after that, and ends because nothing is left.
import { createSecretKey, randomBytes } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { WebhookDelivery } from "../../src/webhooks/delivery.ts";
import { FakeOutbox } from "./fake-outbox.ts";
import { accept, type Behavior, hangUp, Receiver, refuse } from "./receiver.ts";

const alive = () => process.getActiveResourcesInfo().filter((name) => name !== "Immediate");
const nothing = () => {};

const before = alive();
const receiver = new Receiver([]);
await receiver.listen();
const behaviors: readonly Behavior[] = [accept, hangUp, receiver.keepSilent, receiver.keepSilent, refuse(503, { "retry-after": "60" })];
receiver.behavior = (arrival, response, request) => behaviors[arrival.index]?.(arrival, response, request);
const outbox = new FakeOutbox();
for (let index = 0; index < 5; index++) outbox.add(`order ${index}`, Date.now());
const secrets = [createSecretKey(randomBytes(32))];
const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const delivery = new WebhookDelivery({ outbox, url: receiver.url, secrets, log });
delivery.start();
while (delivery.state().inFlight !== 2 || receiver.silent !== 2 || outbox.size !== 4) await turn();
const during = alive();

await delivery.stop();
await receiver.close();
while (receiver.inFlight > 0) await turn();
await turn();
console.log(JSON.stringify({ before, during, after: alive() }));
