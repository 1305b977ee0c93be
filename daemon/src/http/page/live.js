// What the daemon says, as it says it: one stream of events for the state and alerts, and one request at a time for the
// pictures of the cameras that are on the screen.

import { setClock } from "./times.js";

/** The state is said each second: without one for so long the daemon is gone, even where the connection seems to stand. */
const SILENCE_MS = 5000;
/** A page that nobody sees lets go of its stream after this time: a browser has few connections for all its tabs. */
const HIDDEN_MS = 60_000;
/** The daemon answers within these times, or not at all. */
const [DOCUMENT_MS, PICTURES_MS, ANSWER_MS] = [15_000, 30_000, 200_000];
/** As many as the daemon keeps. */
const MAX_ALERTS = 200;

/**
 * Events: `state`, `cameras` (after `cameras` was set anew), `alerts`, `picture` (detail: {sight, jpeg}), `connection`,
 * `asleep` (nothing is heard until somebody looks again).
 */
export class Live extends EventTarget {
  state = null;
  cameras = null;
  tasks = [];
  alerts = new Map();
  isConnected = true;
  #visible = new Map();
  #events = null;
  #silence = null;
  #hidden = null;
  /** Of `cameras`; null where something may have been missed. */
  #revision = null;
  /** How often the stream was lost. */
  #losses = 0;
  /** While documents are fetched: the alerts that were heard meanwhile. */
  #heard = null;
  #abort = null;

  start() {
    this.#listen();
    this.#look();
    document.addEventListener("visibilitychange", () => {
      this.#again();
      clearTimeout(this.#hidden);
      if (document.hidden) this.#hidden = setTimeout(() => this.#sleep(), HIDDEN_MS);
      else if (!this.#events) this.#listen();
    });
  }

  /** Pictures of the camera are wanted, or no longer. */
  show(camera, isVisible) {
    if (isVisible === this.#visible.has(camera)) return;
    if (isVisible) this.#visible.set(camera, null);
    else this.#visible.delete(camera);
    this.#again();
  }

  /** Asks a camera; resolves to the answer, or to an object with `error` and `reason`. */
  async ask(camera, question) {
    try {
      const response = await request(`/api/cameras/${camera}/ask`, ANSWER_MS, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(question),
      });
      return await response.json();
    } catch {
      return { error: "gone", reason: "Belvedere does not answer." };
    }
  }

  #listen() {
    this.#events?.close();
    const events = new EventSource("/api/events");
    this.#events = events;
    this.#expect();
    events.addEventListener("state", (event) => {
      this.#expect();
      this.#hear(JSON.parse(event.data));
    });
    events.addEventListener("alert", (event) => {
      const alert = JSON.parse(event.data);
      this.#heard?.add(alert.id);
      this.alerts.set(alert.id, alert);
      while (this.alerts.size > MAX_ALERTS) this.alerts.delete(this.alerts.keys().next().value);
      this.#tell("alerts");
    });
    events.addEventListener("error", () => {
      this.#lose();
      // The browser tries again by itself, and after a silence so do we. Refused, not gone: the login may be over.
      if (events.readyState === EventSource.CLOSED) request("/api/state", DOCUMENT_MS).catch(() => {});
    });
  }

  /** Another state is to come within some time. */
  #expect() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#lose();
      this.#listen();
    }, SILENCE_MS);
  }

  #lose() {
    this.#losses += 1;
    this.#revision = null;
    this.#connected(false);
  }

  #sleep() {
    clearTimeout(this.#silence);
    this.#events.close();
    this.#events = null;
    this.#losses += 1;
    this.#revision = null;
    this.#tell("asleep");
  }

  #hear(state) {
    this.state = state;
    setClock(state.time);
    this.#connected(true);
    this.#tell("state");
    if (this.#revision !== state.revision && !this.#heard) this.#catchUp();
  }

  /** Fetches what the stream does not tell. One after another: what is fetched is never older than what is shown. */
  async #catchUp() {
    const losses = this.#losses;
    this.#heard = new Set();
    try {
      const fetched = ["/api/cameras", "/api/alerts"].map(async (path) => {
        const response = await request(path, DOCUMENT_MS);
        if (!response.ok) throw new Error(`${path}: ${response.status}`);
        return response.json();
      });
      const [cameras, { alerts }] = await Promise.all(fetched);
      this.cameras = cameras.cameras;
      this.tasks = cameras.tasks;
      // The newest comes first there, and last in a map that grows. What the stream said meanwhile is newer.
      const heard = [...this.#heard].map((id) => [id, this.alerts.get(id)]).filter(([, alert]) => alert);
      this.alerts = new Map([...alerts.toReversed().map((alert) => [alert.id, alert]), ...heard]);
      if (losses === this.#losses) this.#revision = cameras.revision;
      this.#tell("cameras");
      this.#tell("alerts");
    } catch {
      // With the next state.
    } finally {
      this.#heard = null;
    }
  }

  #connected(isConnected) {
    if (isConnected === this.isConnected) return;
    this.isConnected = isConnected;
    // A request from before may wait for a connection that is dead.
    if (isConnected) this.#again();
    this.#tell("connection");
  }

  /** What is wanted has changed: the request that waits is for the wrong cameras. */
  #again() {
    this.#abort?.abort();
  }

  async #look() {
    for (;;) {
      this.#abort = new AbortController();
      const { signal } = this.#abort;
      const wanted = document.hidden ? [] : [...this.#visible];
      if (wanted.length === 0) {
        await aborted(signal);
        continue;
      }
      const names = wanted.map(([name, frame]) => (frame === null ? name : `${name}:${frame}`)).join(",");
      try {
        const response = await request(`/api/pictures?cameras=${names}`, PICTURES_MS, { signal });
        if (response.status === 200) {
          for (const picture of pictures(await response.arrayBuffer())) {
            const { camera, frame_id } = picture.sight;
            if (this.#visible.has(camera)) this.#visible.set(camera, frame_id);
            this.#tell("picture", picture);
          }
        } else if (response.status !== 204) {
          await pause(2000);
        }
      } catch (error) {
        if (error.name !== "AbortError") await pause(2000);
      }
    }
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Asks the daemon, which answers within `limitMs` or not at all. Where the login is over, the page leaves for the form. */
async function request(path, limitMs, { signal, ...options } = {}) {
  const limit = AbortSignal.timeout(limitMs);
  const response = await fetch(path, { ...options, signal: signal ? AbortSignal.any([signal, limit]) : limit });
  if (response.status === 401) location.assign("/login");
  return response;
}

/** The pictures of an answer of /api/pictures: two lengths of 4 bytes, JSON, JPEG, and so on. */
function* pictures(buffer) {
  const view = new DataView(buffer);
  for (let at = 0; at + 8 <= buffer.byteLength; ) {
    const [jsonBytes, jpegBytes] = [view.getUint32(at), view.getUint32(at + 4)];
    const sight = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, at + 8, jsonBytes)));
    const jpeg = new Blob([new Uint8Array(buffer, at + 8 + jsonBytes, jpegBytes)], { type: "image/jpeg" });
    yield { sight, jpeg };
    at += 8 + jsonBytes + jpegBytes;
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function aborted(signal) {
  return new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
