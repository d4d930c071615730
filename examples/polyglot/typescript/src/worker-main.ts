// A worker with the TypeScript side of the tasks that make polyglot calls across languages.

import { access, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type Job, TaskError } from "./attempt.js";
import { configFromEnv } from "./config.js";
import { anything, shape } from "./shape.js";
import { stopSignal } from "./stop-signal.js";
import { Worker } from "./worker.js";

const SLOTS = 10;

const gates = shape({ begun: "string", release: "string" });

function greet({ name }: { name: string }, { log }: Job) {
  log("INFO", `greeting ${name}`);
  return { language: "typescript", greeting: `Hello, ${name}!`, length: [...name].length };
}

/** Says that it has begun, by making a file, and goes on until another one is there. */
async function hold({ begun, release }: { begun: string; release: string }, { assignment, signal }: Job) {
  await writeFile(`${begun}.typescript`, "");
  const isThere = () => access(release).then(() => true, () => false);
  while (!(await isThere())) await sleep(20, undefined, { signal });
  return { language: "typescript", attempt: assignment.attempt };
}

/** The task of a workflow; the next two are its hooks: runs of their own that follow a run's end. */
const work = ({ item }: { item: string }) => (item === "bread" ? fail({ item }) : item);

function mourn(_: unknown, { assignment }: Job) {
  const { runId: follows, failures } = assignment.spec?.hook ?? {};
  return { language: "typescript", follows, error: failures?.["work"]?.message };
}

function cheer(_: unknown, { assignment }: Job) {
  const { runId: follows, outputJson } = assignment.spec?.hook ?? {};
  return { language: "typescript", follows, output: JSON.parse(outputJson?.toString() || "{}").work };
}

/** Asks for more time, says how far it is, and tidies up once told that time is short. */
async function tidy(_: unknown, { refresh, progress, stream, softSignal, signal }: Job) {
  refresh(1_200);
  progress(1, 2, "waiting");
  await sleep(60_000, undefined, { signal: softSignal }).catch(() => signal.throwIfAborted());
  progress(2, 2, "tidied up");
  await stream("tidied up");
  return { language: "typescript" };
}

/** Throws an error with a type that callers in other languages see. */
function fail({ item }: { item: string }): never {
  throw new TaskError("OutOfStock", `no ${item} left`);
}

const worker = new Worker(configFromEnv(), "typescript-worker", SLOTS)
  .handle("typescript.greet", shape({ name: "string" }), greet)
  .handle("typescript.hold", gates, hold)
  .handle("typescript.fail", shape({ item: "string" }), fail, { retry: { maxAttempts: 2 } })
  .handle("typescript.tidy", anything, tidy, { softTimeoutMs: 500n, executionTimeoutMs: 1_000n })
  .handleWorkflow(
    {
      name: "typescript.order",
      tasks: [{ name: "work" }],
      onFailure: { name: "mourn" },
      onSuccess: { name: "cheer" },
      outputByTask: true,
    },
    {
      work: { parse: shape({ item: "string" }), task: work },
      mourn: { parse: anything, task: mourn },
      cheer: { parse: anything, task: cheer },
    },
  )
  // Served by the workers of all languages: whichever has a slot gets it.
  .handle("any.hold", gates, hold);

await worker.run(stopSignal()).catch((error) => {
  console.error(String(error));
  process.exit(1);
});
process.exit(); // a task that was left behind would keep the process alive
