// Sends pictures a few at once, waits where the server says so, and stops where nothing is left.

/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./outcome.js").Outcome} Outcome */
/** @typedef {import("./outcome.js").Stop} Stop */

/**
 * Why nothing is sent now. until: when it goes on by itself, in milliseconds of Date.now().
 * @typedef {{kind: "pause", reason: "rate" | "busy" | "offline", until: number}
 *   | {kind: "stop", reason: Stop}} Halt
 */

/**
 * Who hears of what happens.
 * @typedef {object} Listener
 * @property {(item: Item) => void} onChange
 * @property {(halt: Halt | null) => void} onHalt also each second of a pause
 * @property {() => void} onRest nothing is on its way any more
 */

const AT_ONCE = 2;
const SECOND_MS = 1000;
// Then it is the picture that cannot get through.
const MOST_LOSSES = 3;
// How often it is tried whether the server is back: twice as long each time.
const LONGEST_S = 60;

export class Queue {
  /** @type {Item[]} */
  #line = [];
  /** @type {Map<Item, AbortController>} */
  #sent = new Map();
  /** @type {Halt | null} */
  #halt = null;
  #clock = 0;
  #probes = 0;
  /** Requests that the last answer has left of its minute; some of them may be on their way. */
  #left = Infinity;
  #minuteEnds = 0;

  /**
   * @param {import("./api.js").Send} send @param {() => Promise<boolean>} isReachable
   * @param {Listener} listener
   */
  constructor(send, isReachable, listener) {
    this.send = send;
    this.isReachable = isReachable;
    this.listener = listener;
    addEventListener("online", () => this.#isCutOff() && this.resume());
  }

  /** Whether a picture waits or is on its way. */
  get isBusy() {
    return this.#sent.size > 0 || this.#line.length > 0;
  }

  /** Whether somebody has to do something before it goes on. */
  get isStopped() {
    return this.#halt?.kind === "stop";
  }

  /**
   * Send pictures when it is their turn.
   * @param {Item[]} items
   */
  add(items) {
    for (const item of items) {
      Object.assign(item, { state: "waiting", progress: 0, error: null });
      this.#line.push(item);
      this.listener.onChange(item);
    }
    this.#line.sort((one, other) => one.id - other.id);
    this.#fill();
  }

  /**
   * Forget a picture, wherever it is.
   * @param {Item} item
   */
  remove(item) {
    this.#line = this.#line.filter((other) => other !== item);
    this.#sent.get(item)?.abort();
    if (this.#line.length === 0 && this.#halt) this.resume();
  }

  /** Go on now. */
  resume() {
    this.#minuteEnds = 0;
    this.#say(null);
    this.#fill();
  }

  #fill() {
    if (this.#line.length === 0) return;
    if (Date.now() >= this.#minuteEnds) this.#left = Infinity;
    if (this.#left === 0) this.#pause("rate", this.#minuteEnds);
    while (this.#halt === null && this.#sent.size < Math.min(AT_ONCE, this.#left)) {
      const item = this.#line.shift();
      if (item === undefined) return;
      this.#run(item);
    }
  }

  /** @param {Item} item */
  async #run(item) {
    const stop = new AbortController();
    this.#sent.set(item, stop);
    this.#change(item, { state: "uploading" });
    const outcome = await this.send(item, {
      signal: stop.signal,
      onUpload: (progress) => this.#change(item, { progress }),
      onUploaded: () => this.#change(item, { state: "working", progress: 1 }),
    });
    this.#sent.delete(item);
    if (!stop.signal.aborted) this.#settle(item, outcome);
    this.#fill();
    if (this.#sent.size === 0) this.listener.onRest();
  }

  /** @param {Item} item @param {Outcome} outcome */
  #settle(item, outcome) {
    if (outcome.kind === "lost") return this.#lose(item);
    this.#probes = 0;
    if (outcome.kind === "done") return this.#finish(item, outcome);
    if (outcome.kind === "failed") return this.#fail(item, outcome.trouble);
    if (outcome.kind === "wait") this.#pause(outcome.reason, inSeconds(outcome.seconds));
    if (outcome.kind === "stop") this.#say(outcome);
    this.#putBack(item);
  }

  /** @param {Item} item @param {import("./outcome.js").Done} outcome */
  #finish(item, { cutout, detected, charged, left, seconds }) {
    this.#left = left;
    this.#minuteEnds = inSeconds(seconds);
    this.#change(item, { state: "done", cutout, detected, charged, isSaved: !detected, losses: 0 });
  }

  /** @param {Item} item */
  #lose(item) {
    if (!navigator.onLine) {
      this.#say({ kind: "pause", reason: "offline", until: Infinity });
      return this.#putBack(item);
    }
    if (!this.isStopped) this.#probeLater();
    item.losses += 1;
    if (item.losses <= MOST_LOSSES) return this.#putBack(item);
    item.losses = 0;
    this.#fail(item, { word: "network", again: true });
  }

  #probeLater() {
    const seconds = Math.min(2 ** this.#probes, LONGEST_S);
    this.#probes += 1;
    this.#say({ kind: "stop", reason: "network" });
    this.#clock = setTimeout(() => this.#probe(), seconds * SECOND_MS);
  }

  async #probe() {
    const halt = this.#halt;
    const isBack = await this.isReachable();
    if (this.#halt !== halt) return; // It went on meanwhile.
    if (isBack) this.resume();
    else this.#probeLater();
  }

  /** @param {Item} item @param {import("./item.js").Trouble} error */
  #fail(item, error) {
    this.#change(item, { state: "failed", error });
  }

  /** @param {Item} item */
  #putBack(item) {
    this.add([item]);
  }

  /** @param {"rate" | "busy"} reason @param {number} until in milliseconds of Date.now() */
  #pause(reason, until) {
    if (this.#halt?.kind === "stop" || (this.#halt && this.#halt.until >= until)) return;
    this.#say({ kind: "pause", reason, until });
  }

  /** @param {Halt | null} halt */
  #say(halt) {
    clearInterval(this.#clock);
    this.#halt = halt;
    this.listener.onHalt(halt);
    if (halt?.kind === "pause") this.#clock = setInterval(() => this.#tick(halt), SECOND_MS);
  }

  /** @param {Halt & {kind: "pause"}} halt */
  #tick(halt) {
    if (Date.now() >= halt.until) this.resume();
    else this.listener.onHalt(halt);
  }

  #isCutOff() {
    return this.#halt?.reason === "offline" || this.#halt?.reason === "network";
  }

  /** @param {Item} item @param {Partial<Item>} facts */
  #change(item, facts) {
    Object.assign(item, facts);
    this.listener.onChange(item);
  }
}

/** @param {number} seconds from now */
const inSeconds = (seconds) => Date.now() + seconds * SECOND_MS;
