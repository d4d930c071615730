// A worker: what it holds outlives its connections, leases as well as reports until they are acknowledged.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type ServiceError, status } from "@grpc/grpc-js";
import { Attempt, cancelled, type Handler, type Parse, type Task, TaskError, type Voice } from "./attempt.js";
import { unary } from "./client.js";
import { callMetadata, channelOptions, type Config } from "./config.js";
import { type Assignment, Hello, type TaskLog, TaskProgress, type Welcome } from "./gen/windlass/v1/dispatch.js";
import { WorkerServiceClient } from "./gen/windlass/v1/worker_service.js";
import { type DeepPartial, type TaskDefinition, WorkflowDefinition } from "./gen/windlass/v1/workflow.js";
import { PATIENCE_MS, Session, type Unsent } from "./session.js";

const FIRST_DELAY_MS = 100; // between two connections: random, doubled up to the longest
const LONGEST_DELAY_MS = 2_000;
const GOOD_AFTER_MS = 5_000; // a connection that held this long was a good one
const DRAIN_GRACE_MS = 30_000;
const ACK_PATIENCE_MS = 5_000; // how long a drain waits for the last acknowledgements
const STOP_GRACE_MS = 1_000; // how long an attempt may go on after its execution timeout
const SEEN_LEASES = 10_000;
const KEPT_LOGS = 10_000;
const PROGRESS_EVERY_MS = 250; // what a task says in between is replaced by what it says next

export class Worker {
  readonly config: Config;
  readonly held = new Map<string, Attempt>(); // by lease
  draining = false;
  hasLeft = false;
  /** Resolves at the next change. */
  changed: Promise<void>;
  #tell!: () => void;
  #waiting: Attempt[] = []; // for a slot
  #free: number; // slots
  #accepts: Attempt[] = []; // to be sent, as are the next five
  #asking: Attempt[] = [];
  #reports: Attempt[] = [];
  #words: Attempt[] = [];
  #streaming: Attempt[] = [];
  #logs: TaskLog[] = [];
  newLabels = false; // to be sent
  readonly #hello: Hello;
  readonly #handlers = new Map<string, Handler>();
  #addresses: string[] = []; // dispatchers, by the api's last answer
  readonly #seen = new Set<string>(); // leases that have arrived, oldest first
  #session: Session | undefined;
  #cancelGraceMs = 0;
  #maxPayload = 0;
  #ttlMs = 0;
  #expired = false;
  #expiry: NodeJS.Timeout | undefined;

  /** Its name is for people and need not be unique. */
  constructor(config: Config, name: string, slots: number) {
    this.config = config;
    this.#free = slots;
    this.changed = new Promise((resolve) => (this.#tell = resolve));
    const host = `${hostname()}:${process.pid}`;
    this.#hello = Hello.fromPartial({ workerId: randomUUID(), name, slots, host, sdk: `typescript ${process.version}` });
  }

  /** Serves a task: a workflow of that one task, with a policy of retries or whatever else a definition has. */
  handle<Input>(name: string, parse: Parse<Input>, task: Task<Input>, definition: DeepPartial<TaskDefinition> = {}): this {
    return this.handleWorkflow({ name, tasks: [{ ...definition, name }] }, { [name]: { parse, task } });
  }

  /** Serves a workflow: the handlers, by name, are of its task and its hooks; `spec.hook` says what those follow. */
  handleWorkflow(definition: DeepPartial<WorkflowDefinition>, handlers: Record<string, Handler>): this {
    const workflow = WorkflowDefinition.fromPartial(definition);
    for (const [task, handler] of Object.entries(handlers)) this.#handlers.set(keyOf(workflow.name, task), handler);
    this.#hello.workflows.push(workflow);
    return this;
  }

  /** Says something of the worker that placement can ask for; also while it runs. */
  label(name: string, value: string): this {
    this.#hello.labels[name] = value;
    this.newLabels = true;
    this.change();
    return this;
  }

  /** Adds slots of another kind; of which kind an attempt takes one is the engine's to count. */
  addPool(name: string, slots: number): this {
    this.#hello.slotPools[name] = slots;
    this.#free += slots;
    return this;
  }

  /**
   * Serves until `stop` aborts, and then drains: no new work, what runs may finish, the rest goes back to
   * its queue. Throws where the engine refuses this worker, and would again.
   */
  async run(stop: AbortSignal): Promise<void> {
    stop.addEventListener("abort", () => void this.#drain(), { once: true });
    let [delay, avoid, welcomed] = [FIRST_DELAY_MS, "", false];
    while (!this.hasLeft) {
      const began = performance.now();
      let lost: unknown;
      let greeted = false;
      for (const address of await this.#dispatchers(avoid).catch((error: unknown) => ((lost = error), []))) {
        avoid = address;
        this.#session = new Session(this, address);
        lost = await this.#session.serve();
        greeted = this.#session.greeted;
        if (greeted || this.hasLeft) break;
      }
      if (this.hasLeft) return;
      welcomed ||= greeted;
      if (!greeted && isFinal(lost, welcomed)) throw lost;
      console.error(`not connected, last to ${avoid || "none"} (${String(lost)}); trying on`);
      if (performance.now() - began > GOOD_AFTER_MS) delay = FIRST_DELAY_MS;
      await this.#until(() => this.hasLeft, Math.random() * delay);
      delay = Math.min(2 * delay, LONGEST_DELAY_MS);
    }
  }

  /** Asks the api where to connect; the address to avoid comes last. */
  async #dispatchers(avoid: string): Promise<string[]> {
    if (this.config.dispatcherAddress) return [this.config.dispatcherAddress];
    try {
      this.#addresses = await this.#askForDispatchers();
    } catch (error) {
      // What was true a moment ago is better than nothing while the api is away.
      if (!this.#addresses.length) throw error;
    }
    return this.#addresses.toSorted((a, b) => Number(a === avoid) - Number(b === avoid));
  }

  async #askForDispatchers(): Promise<string[]> {
    const client = new WorkerServiceClient(this.config.apiAddress, this.config.credentials, channelOptions);
    try {
      return (await unary(client, client.listDispatchers, {}, callMetadata(this.config), PATIENCE_MS)).addresses;
    } finally {
      client.close();
    }
  }

  /** Says who we are and what we hold; the welcome says what of that is still ours. */
  hello(): Hello {
    [this.#accepts, this.#asking, this.#reports] = [[], [], []];
    this.newLabels = false;
    return { ...this.#hello, heldLeaseIds: [...this.held.keys()], draining: this.draining };
  }

  /** Begins a session: what is still ours goes on, and all of it is told again. */
  welcome(welcome: Welcome, sentAt: number): void {
    this.#ttlMs = welcome.sessionTtlMs;
    this.#maxPayload = Number(welcome.maxPayloadBytes);
    this.#cancelGraceMs = welcome.cancelGraceMs;
    this.confirm(sentAt);
    this.lose(welcome.lostLeaseIds);
    const held = [...this.held.values()];
    this.#accepts = held.filter((attempt) => !attempt.report);
    this.#asking = this.#streaming = held;
    for (const attempt of held) attempt.stream.sendAgain();
    this.#reports = held.filter((attempt) => attempt.report);
    this.change();
  }

  takeUnsent(): Unsent {
    const [logs, words, accepts, reports] = [this.#logs, this.#takeWords(), this.#accepts, this.#reports];
    const asking = this.#asking.filter((attempt) => !attempt.report);
    const chunks = this.#ours(this.#streaming).flatMap(({ stream, leaseId, assignment }) => stream.take(leaseId, assignment.runId));
    [this.#logs, this.#accepts, this.#asking, this.#reports, this.#streaming] = [[], [], [], [], []];
    return { logs, chunks, words, accepts, asking, reports };
  }

  #takeWords(): TaskProgress[] {
    const words = this.#ours(this.#words);
    this.#words = [];
    return words.flatMap((attempt) => {
      const { leaseId, word: progress } = attempt;
      if (!progress) return [];
      attempt.word = undefined;
      attempt.nextWordAt = performance.now() + PROGRESS_EVERY_MS;
      return [TaskProgress.fromPartial({ leaseId, runId: attempt.assignment.runId, progress })];
    });
  }

  /** Takes new assignments; one whose lease has been seen is dropped. */
  start(assignments: Assignment[]): void {
    for (const assignment of assignments) {
      const { leaseId } = assignment;
      // What belongs to an expired session comes again after the next welcome.
      if (this.#expired || this.#seen.has(leaseId)) continue;
      this.#seen.add(leaseId);
      if (this.#seen.size > SEEN_LEASES) this.#seen.delete(this.#seen.values().next().value ?? "");
      const attempt = new Attempt(assignment);
      this.held.set(leaseId, attempt);
      if (this.draining) this.#keep(attempt, attempt.failed(new TaskError("Released", "the worker is draining"), true));
      else if (assignment.cancelRequested) this.#keep(attempt, attempt.failed(cancelled("before it was started")));
      else {
        this.#accepts.push(attempt);
        this.#waiting.push(attempt);
      }
    }
    this.#fillSlots();
    this.change();
  }

  /**
   * Executes what waits, in order. The engine counts slots too, but a worker that lost a lease, or left a
   * task behind, may hear of new work before it is done with the old.
   */
  #fillSlots(): void {
    while (this.#free > 0) {
      const attempt = this.#waiting.shift();
      if (!attempt) return;
      if (attempt.report || this.held.get(attempt.leaseId) !== attempt) continue; // released or lost meanwhile
      attempt.hasSlot = true;
      this.#free -= 1;
      void this.#execute(attempt);
    }
  }

  /** Gives the slot of an attempt to the next, and goes on with it. */
  #releaseSlot(attempt: Attempt): void {
    if (!attempt.hasSlot) return;
    [attempt.hasSlot, attempt.gaveSlot] = [false, true];
    this.#free += 1;
    this.#fillSlots();
    this.#queue(this.#asking, attempt);
  }

  /** The labels that it has now. */
  get labels(): Record<string, string> {
    return { ...this.#hello.labels };
  }

  /** Stops an attempt, for this reason, and gives its slot to the next. */
  #end(attempt: Attempt, reason?: Error): void {
    attempt.abort.abort(reason);
    if (attempt.hasSlot) {
      attempt.hasSlot = false;
      this.#free += 1;
      this.#fillSlots();
    }
    this.change();
  }

  async #execute(attempt: Attempt): Promise<void> {
    const { taskName, spec } = attempt.assignment;
    let timeout: TaskError | undefined;
    attempt.limits.begin((over) => this.stop(attempt, (timeout = over), STOP_GRACE_MS));
    try {
      const handler = this.#handlers.get(keyOf(spec?.workflowName ?? "", taskName));
      const output = await attempt.execute(handler, this.#voiceOf(attempt));
      this.#finish(attempt, timeout ? attempt.failed(timeout) : attempt.completed(output, this.#maxPayload));
    } catch (error) {
      this.#finish(attempt, attempt.failed(attempt.reasonOf(error)));
    } finally {
      attempt.limits.end();
    }
  }

  #voiceOf(attempt: Attempt): Voice {
    return {
      log: (level, message) => {
        // While no dispatcher takes them, the oldest go.
        this.#logs.push(attempt.line(level, message));
        if (this.#logs.length > KEPT_LOGS) this.#logs.shift();
        this.change();
      },
      progress: (done, total = 0, message = "") => {
        if (attempt.keepWord(done, total, message))
          setTimeout(() => this.#queue(this.#words, attempt), attempt.nextWordAt - performance.now());
      },
      refresh: (executionMs) => {
        if (!attempt.report && attempt.limits.refresh(executionMs)) this.#queue(this.#asking, attempt);
      },
      stream: async (chunk) => {
        attempt.abort.signal.throwIfAborted();
        while (!attempt.stream.put(chunk, attempt.assignment.attempt)) {
          await this.changed;
          attempt.abort.signal.throwIfAborted();
        }
        this.#queue(this.#streaming, attempt);
      },
      releaseSlot: () => this.#releaseSlot(attempt),
      label: (name, value) => void this.label(name, value),
    };
  }

  /**
   * Tells a task to end. One that goes on all the same is left behind after the grace: nothing can end it
   * from outside, but its slot is free again, and what it still returns is dropped.
   */
  stop(attempt: Attempt, reason: Error, graceMs: number): void {
    attempt.abort.abort(reason);
    this.change();
    setTimeout(() => this.#finish(attempt, attempt.failed(reason)), graceMs);
  }

  cancel(leaseIds: string[], reason: string): void {
    for (const attempt of this.#known(leaseIds)) this.stop(attempt, cancelled(reason), this.#cancelGraceMs);
  }

  /** Drops leases that are no longer ours. */
  lose(leaseIds: string[]): void {
    for (const attempt of this.#known(leaseIds)) {
      this.held.delete(attempt.leaseId);
      this.#end(attempt, new Error("the lease was lost"));
    }
  }

  /** Forgets what the engine has acknowledged. */
  acknowledge(leaseId: string): void {
    this.held.delete(leaseId);
    this.change();
  }

  /** Renews the session, from when the message that the engine answered was sent. */
  confirm(sentAt: number): void {
    this.#expired = false;
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(() => this.#expire(), sentAt + this.#ttlMs * 0.9 - performance.now());
  }

  /** Tells everybody who waits that something is different now. */
  change(): void {
    const tell = this.#tell;
    this.changed = new Promise((resolve) => (this.#tell = resolve));
    tell();
  }

  /** Waits for a condition that `change` announces, or for the limit. */
  async #until(condition: () => boolean, limitMs: number): Promise<void> {
    let isOver = false;
    const timer = setTimeout(() => ((isOver = true), this.change()), limitMs);
    while (!condition() && !isOver) await this.changed;
    clearTimeout(timer);
  }

  /** Stops everything shortly before the engine may give it to others. */
  #expire(): void {
    this.#expired = true;
    const reason = new Error("the session was about to expire");
    this.#release(reason); // told, and not forgotten: should the session live after all, nothing hangs
    this.#session?.leave(reason);
  }

  /** Hands back all that executes: it runs again elsewhere, and no retry is charged. */
  #release(reason: Error): void {
    this.#waiting = [];
    for (const attempt of this.held.values()) {
      if (attempt.report) continue;
      this.#keep(attempt, attempt.failed(new TaskError("Released", reason.message), true));
      this.#end(attempt, reason);
    }
  }

  async #drain(): Promise<void> {
    console.error("draining");
    this.draining = true;
    this.change();
    await this.#until(() => [...this.held.values()].every((attempt) => attempt.report), DRAIN_GRACE_MS);
    this.#release(new Error("the worker has left"));
    await this.#until(() => this.held.size === 0, ACK_PATIENCE_MS);
    this.hasLeft = true;
    clearTimeout(this.#expiry);
    this.change();
  }

  /** Takes the outcome of an attempt, unless another was told before or the lease is no longer ours. */
  #finish(attempt: Attempt, report: Attempt["report"]): void {
    if (attempt.report || this.held.get(attempt.leaseId) !== attempt) return;
    this.#keep(attempt, report);
    this.#end(attempt);
  }

  #keep(attempt: Attempt, report: Attempt["report"]): void {
    attempt.report = report;
    this.#words.push(attempt); // its last word goes before the report
    this.#reports.push(attempt);
  }

  #queue(queue: Attempt[], attempt: Attempt): void {
    queue.push(attempt);
    this.change();
  }

  #ours(attempts: Attempt[]): Attempt[] {
    return attempts.filter((attempt) => this.held.get(attempt.leaseId) === attempt);
  }

  #known(leaseIds: string[]): Attempt[] {
    return leaseIds.map((id) => this.held.get(id)).filter((attempt) => attempt !== undefined);
  }
}

/** Names a task: two workflows may have tasks of one name. */
const keyOf = (workflow: string, task: string) => JSON.stringify([workflow, task]);

/** Whether what was said in place of a welcome would be said again: no token, or our very first Hello is wrong. */
function isFinal(error: unknown, welcomed: boolean): boolean {
  const { code } = error as Partial<ServiceError>;
  if (code === status.INVALID_ARGUMENT) return !welcomed;
  return code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED;
}
