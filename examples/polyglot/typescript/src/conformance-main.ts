// The tasks that tests/conformance drives a worker through.

import { setTimeout as sleep } from "node:timers/promises";
import { type Job, TaskError } from "./attempt.js";
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
  })
  .handle("conformance.progress", shape({ steps: "number", every_ms: "number" }), async (input, { progress, signal }) => {
    for (let n = 1; n <= input.steps; n++) {
      if (n > 1) await sleep(input.every_ms, undefined, { signal });
      progress(n, input.steps, `step ${n}`);
    }
    return {};
  })
  .handle("conformance.stream", shape({ chunks: "number", every_ms: "number" }), async (input, { stream, signal }) => {
    for (let n = 1; n <= input.chunks; n++) {
      if (n > 1 && input.every_ms) await sleep(input.every_ms, undefined, { signal });
      await stream(n % 2 ? `chunk ${n}` : Buffer.from(`chunk ${n}`));
    }
    return {};
  })
  .handle("conformance.release", shape({ ms: "number" }), async ({ ms }, { releaseSlot, signal }) => {
    releaseSlot();
    await sleep(ms, undefined, { signal });
    return { held: ms };
  })
  .handle("conformance.label", shape({ name: "string", value: "string" }), ({ name, value }, { label }) => {
    label(name, value);
    return {};
  })
  .handle("conformance.limits", shape({ ms: "number", refresh_ms: "number", then_ms: "number" }), limits)
  .handleWorkflow(
    {
      name: "conformance.order",
      tasks: [{ name: "work" }],
      onFailure: { name: "failed" },
      onSuccess: { name: "succeeded" },
      outputByTask: true,
    },
    {
      work: { parse: anything, task: () => ({ workflow: "conformance.order", task: "work" }) },
      failed: { parse: anything, task: failed },
      succeeded: { parse: anything, task: succeeded },
    },
  )
  .handleWorkflow(
    { name: "conformance.refund", tasks: [{ name: "work" }] },
    { work: { parse: anything, task: () => ({ workflow: "conformance.refund", task: "work" }) } },
  );
for (const [name, value] of pairs("CONFORMANCE_LABELS")) worker.label(name, value);
for (const [name, value] of pairs("CONFORMANCE_POOLS")) worker.addPool(name, Number(value));

/** Asks for more time, waits, and says whether it was told that its time is short. */
async function limits(input: { ms: number; refresh_ms: number; then_ms: number }, job: Job) {
  if (input.refresh_ms) job.refresh(input.refresh_ms);
  try {
    await sleep(input.ms, undefined, { signal: job.softSignal });
    return { told: false };
  } catch {
    await sleep(input.then_ms, undefined, { signal: job.signal });
    return { told: true };
  }
}

function failed(_: unknown, { assignment }: Job) {
  const { runId: run, failures = {} } = assignment.spec?.hook ?? {};
  const messages = Object.entries(failures).map(([name, failure]) => [name, failure.message]);
  return { workflow: "conformance.order", task: "failed", run, failures: Object.fromEntries(messages) };
}

function succeeded(_: unknown, { assignment }: Job) {
  const { runId: run, outputJson } = assignment.spec?.hook ?? {};
  return { workflow: "conformance.order", task: "succeeded", run, output: JSON.parse(outputJson?.toString() || "{}").work };
}

/** Reads name=value,name=value. */
function pairs(variable: string): [string, string][] {
  const words = (process.env[variable] ?? "").split(",").filter(Boolean);
  return words.map((word) => word.split("=", 2) as [string, string]);
}

await worker.run(stopSignal());
process.exit(); // a task that was left behind would keep the process alive
