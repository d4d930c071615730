// Owns the timers of an attempt: when its task is told that time is short, when it is stopped.

import { TaskError } from "./attempt.js";
import { type Assignment, TimeoutRefresh } from "./gen/windlass/v1/dispatch.js";

const LONGEST_TIMER_MS = 2 ** 31 - 1; // setTimeout takes what is longer for nothing

export class Limits {
  /** The task has asked for more time, and the engine has to know. */
  refreshed = false;
  readonly #assignment: Assignment;
  readonly #soft = new AbortController();
  readonly #softMs: number;
  readonly #aheadMs: number; // the task is told so long before it is stopped
  readonly #executionMs: number;
  #deadline = 0;
  #onOver: (timeout: TaskError) => void = () => undefined;
  #softTimer: Timer | undefined;
  #stopTimer: Timer | undefined;

  constructor(assignment: Assignment, stopped: AbortSignal) {
    this.#assignment = assignment;
    this.#executionMs = Number(assignment.executionTimeoutMs);
    this.#softMs = Number(assignment.softTimeoutMs);
    this.#aheadMs = Math.max(this.#executionMs - this.#softMs, 0);
    stopped.addEventListener("abort", () => this.#soft.abort(stopped.reason), { once: true });
  }

  /** Ends when the task is told, or is stopped. */
  get softSignal(): AbortSignal {
    return this.#soft.signal;
  }

  begin(onOver: (timeout: TaskError) => void): void {
    this.#onOver = onOver;
    if (this.#executionMs) this.#count(this.#executionMs);
    if (this.#softMs) this.#tellAfter(this.#softMs);
  }

  end(): void {
    this.#softTimer?.cancel();
    this.#stopTimer?.cancel();
  }

  /** Counts anew; tells whether there is a limit at all. */
  refresh(executionMs: number): boolean {
    if (!this.#stopTimer) return false;
    this.end();
    this.refreshed = true;
    this.#count(executionMs);
    if (this.#softTimer && !this.softSignal.aborted) this.#tellAfter(Math.max(executionMs - this.#aheadMs, 0));
    return true;
  }

  /** What is left, for the engine. */
  left(): TimeoutRefresh {
    const { leaseId, runId } = this.#assignment;
    const executionTimeoutMs = BigInt(Math.max(Math.round(this.#deadline - performance.now()), 1));
    return TimeoutRefresh.fromPartial({ leaseId, runId, executionTimeoutMs });
  }

  #count(executionMs: number): void {
    this.#deadline = performance.now() + executionMs;
    const timeout = new TaskError("ExecutionTimeout", `the attempt ran longer than ${executionMs} ms`);
    this.#stopTimer = new Timer(executionMs, () => this.#onOver(timeout));
  }

  #tellAfter(ms: number): void {
    const reason = new TaskError("SoftTimeoutExceeded", "the soft timeout of this attempt is over");
    this.#softTimer = new Timer(ms, () => this.#soft.abort(reason));
  }
}

class Timer {
  #handle: NodeJS.Timeout;

  constructor(ms: number, call: () => void) {
    const wait = (leftMs: number): NodeJS.Timeout =>
      leftMs <= LONGEST_TIMER_MS
        ? setTimeout(call, leftMs)
        : setTimeout(() => (this.#handle = wait(leftMs - LONGEST_TIMER_MS)), LONGEST_TIMER_MS);
    this.#handle = wait(ms);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}
