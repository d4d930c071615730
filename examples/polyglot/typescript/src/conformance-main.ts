// The tasks that tests/conformance drives a worker through.

import { setTimeout as sleep } from "node:timers/promises";
import { TaskError } from "./attempt.js";
import { configFromEnv } from "./config.js";
import { anything, shape } from "./shape.js";
import { stopSignal } from "./stop-signal.js";
import { Worker } from "./worker.js";

const worker = new Worker(configFromEnv(), "conformance-typescript", Number(process.env["CONFORMANCE_SLOTS"] ?? 4))
  .handle("conformance.echo", anything, (input) => input)
  .handle("conformance.fail", shape({ message: "string", retryable: "boolean" }), ({ message, retryable }) => {
    throw new TaskError("ConformanceError", message, !retryable);
  })
  .handle("conformance.hold", shape({ ms: "number" }), async ({ ms }, { signal }) => {
    await sleep(ms, undefined, { signal });
    return { held: ms };
  })
  .handle("conformance.stubborn", shape({ ms: "number" }), async ({ ms }) => {
    await sleep(ms);
    return { held: ms };
  })
  .handle("conformance.big", shape({ bytes: "number" }), ({ bytes }) => ({ data: "x".repeat(bytes) }))
  .handle("conformance.log", shape({ lines: "number" }), ({ lines }, { log }) => {
    for (let n = 1; n <= lines; n++) log("INFO", `line ${n}`);
    return {};
  });

await worker.run(stopSignal());
process.exit(); // a task that was left behind would keep the process alive
