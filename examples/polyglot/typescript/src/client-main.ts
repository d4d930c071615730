// A client on the command line: run|submit WORKFLOW INPUT, wait|cancel RUN, list WORKFLOW. It prints JSON.

import { Client, RunCancelled, RunFailed, WindlassError } from "./client.js";
import { configFromEnv } from "./config.js";
import { ErrorReason } from "./gen/windlass/v1/error.js";
import { RunStatus } from "./gen/windlass/v1/run.js";
import { CancelOutcome } from "./gen/windlass/v1/run_service.js";

const DEADLINE_MS = 60_000;

async function answer(client: Client, what: string, subject: string, input: unknown): Promise<unknown> {
  switch (what) {
    case "run":
      return client.run(subject, input, DEADLINE_MS);
    case "submit":
      return client.submit(subject, input);
    case "wait":
      return client.wait(subject, DEADLINE_MS);
    case "cancel":
      return CancelOutcome[await client.cancel(subject, "cancelled from TypeScript")];
    case "list": {
      const runs = [];
      for await (const run of client.list({ workflowNames: [subject] }, 2))
        runs.push({ run_id: run.runId, status: RunStatus[run.status] });
      return runs;
    }
    default:
      throw new Error(`no such command: ${what}`);
  }
}

/** Shows how each kind of error is told apart. */
function described(error: unknown) {
  if (error instanceof RunFailed) {
    const { type, message, attempt } = error.failure;
    return { error: "RunFailed", type, message, attempt };
  }
  if (error instanceof RunCancelled) return { error: "RunCancelled", message: error.reason };
  if (error instanceof WindlassError)
    return { error: "Error", type: ErrorReason[error.detail.reason], field: error.detail.field, message: error.message };
  return { error: "Other", message: String(error) };
}

const [what, subject, input = "{}"] = process.argv.slice(2);
if (!what || !subject) {
  console.error("usage: client run|submit WORKFLOW INPUT | wait|cancel RUN | list WORKFLOW");
  process.exit(2);
}
const client = new Client(configFromEnv());
console.log(JSON.stringify(await answer(client, what, subject, JSON.parse(input)).catch(described)));
client.close();
