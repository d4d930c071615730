// Owns how a task is executed, and how what became of it is told.

import { type Assignment, Report, TaskLog } from "./gen/windlass/v1/dispatch.js";
import { Progress } from "./gen/windlass/v1/run.js";
import { Limits } from "./limits.js";
import { OutgoingStream } from "./stream.js";

const MESSAGE_BYTES = 16 * 1024; // of a failure's message and of a log line
const TRACEBACK_BYTES = 32 * 1024;
const PROGRESS_CHARACTERS = 1_000;

export type Level = "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL";

/** What a task gets besides its input. */
export interface Job {
  readonly assignment: Assignment;
  /** Ends when the run is cancelled, the attempt's time is over or its lease is lost; its reason tells which. */
  readonly signal: AbortSignal;
  /** Ends at the soft timeout, or with `signal`: what is given this one stops in time, and the task can clean up. */
  readonly softSignal: AbortSignal;
  /** Keeps a line with the run. */
  log(level: Level, message: string): void;
  /** Tells how far the attempt is, for whoever watches; as often as you like. A total of 0: nobody knows. */
  progress(done: number, total?: number, message?: string): void;
  /** Gives the attempt more time: from now on it may execute so long, in place of what is left. */
  refresh(executionMs: number): void;
  /** Has the attempt go on without its slot: others get it. */
  releaseSlot(): void;
  /** Puts data into the run's stream: kept as it is, in order. Waits while much is not stored yet. */
  stream(chunk: string | Uint8Array): Promise<void>;
  /** Sets a label of the worker. */
  label(name: string, value: string): void;
}

/**
 * Executes one attempt of a run; what it returns becomes the output, as JSON. It must not block the event
 * loop for seconds: heartbeats come from there too, so long computations belong into a worker thread.
 */
export type Task<Input> = (input: Input, job: Job) => unknown;

/** What a task says while it executes. */
export type Voice = Pick<Job, "log" | "progress" | "refresh" | "releaseSlot" | "stream" | "label">;

/** Checks an input, or throws: `schema.parse` of zod and the like fit here. */
export type Parse<Input> = (input: unknown) => Input;

/** An error with a type of its own, which policies and people of any language read. */
export class TaskError extends Error {
  constructor(
    override readonly name: string,
    message: string,
    /** Must not be retried, whatever the policy says. */
    readonly final = false,
  ) {
    super(message);
  }
}

export const cancelled = (reason: string) => new TaskError("RunCancelled", `the run was cancelled: ${reason}`);

/** A lease that we hold. It waits for a slot, executes, and has a report, kept until acknowledged. */
export class Attempt {
  readonly abort = new AbortController();
  readonly limits: Limits;
  readonly stream = new OutgoingStream();
  hasSlot = false;
  gaveSlot = false; // the task goes on without, and the engine has to know
  word: Progress | undefined; // the newest that is not sent
  nextWordAt = 0;
  report: Report | undefined;

  constructor(readonly assignment: Assignment) {
    this.limits = new Limits(assignment, this.abort.signal);
  }

  get leaseId(): string {
    return this.assignment.leaseId;
  }

  /** Runs the task to its end; returns the output as JSON. */
  async execute(handler: Handler | undefined, say: Voice): Promise<Buffer> {
    const { assignment } = this;
    const { taskName, spec } = assignment;
    if (!handler) throw new TaskError("UnknownTask", `this worker has no task ${taskName} of ${spec?.workflowName}`);
    const input = final("InvalidInput", () => handler.parse(JSON.parse(spec?.inputJson.toString() || "{}")));
    const job = { assignment, signal: this.abort.signal, softSignal: this.limits.softSignal, ...say };
    const value = await handler.task(input, job);
    return final("SerializationError", () => Buffer.from(JSON.stringify(value ?? null)));
  }

  /** Why it failed: what it threw, or what it was stopped for, where it threw because of that. */
  reasonOf(thrown: unknown): unknown {
    if (this.abort.signal.aborted) return this.abort.signal.reason;
    const { softSignal } = this.limits;
    return softSignal.aborted && (thrown as Partial<Error>)?.name === "AbortError" ? softSignal.reason : thrown;
  }

  completed(outputJson: Buffer, maxPayload: number): Report {
    if (outputJson.length > maxPayload) {
      const message = `the output has ${outputJson.length} bytes, at most ${maxPayload} are taken`;
      return this.failed(new TaskError("PayloadTooLarge", message, true));
    }
    const { leaseId, runId } = this.assignment;
    return Report.fromPartial({ completed: [{ leaseId, runId, outputJson }] });
  }

  failed(thrown: unknown, released = false): Report {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const { leaseId, runId } = this.assignment;
    const failure = {
      type: error.name === "Error" ? error.constructor.name : error.name,
      message: cut(error.message, MESSAGE_BYTES),
      traceback: cut(error.stack ?? "", TRACEBACK_BYTES),
      nonRetryable: error instanceof TaskError && error.final,
    };
    return Report.fromPartial({ failed: [{ leaseId, runId, failure, released }] });
  }

  /** Keeps how far it says that it is; tells whether that is the first word since the last one was sent. */
  keepWord(done: number, total: number, message: string): boolean {
    if (this.report || !Number.isFinite(done) || !Number.isFinite(total)) return false;
    const isFirst = !this.word;
    const characters = [...message].slice(0, PROGRESS_CHARACTERS);
    this.word = Progress.fromPartial({ done, total, message: characters.join("") });
    return isFirst;
  }

  line(level: Level, message: string): TaskLog {
    const { leaseId, runId, attempt } = this.assignment;
    const loggedAtMs = BigInt(Date.now());
    const line = { loggedAtMs, level, message: cut(message, MESSAGE_BYTES), attempt };
    return TaskLog.fromPartial({ runId, leaseId, lines: [line] });
  }
}

/** A task with the check of its input. */
export interface Handler {
  parse: Parse<any>;
  task: Task<any>;
}

/** What fails here would fail the same way again. */
function final<T>(type: string, attempt: () => T): T {
  try {
    return attempt();
  } catch (error) {
    throw new TaskError(type, error instanceof Error ? error.message : String(error), true);
  }
}

/** Keeps the first bytes of a text, and no half character. */
function cut(text: string, limit: number): string {
  const bytes = Buffer.from(text);
  return bytes.length <= limit ? text : new TextDecoder().decode(bytes.subarray(0, limit), { stream: true });
}
