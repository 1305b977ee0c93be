// What the daemon says, as it says it: one stream of events for the state and alerts, and one request at a time for the
// pictures of the cameras that are on the screen.

/** Events: `state`, `cameras` (after `cameras` was set anew), `alerts`, `picture` (detail: {sight, jpeg}), `connection`. */
export class Live extends EventTarget {
  state = null;
  cameras = null;
  tasks = [];
  alerts = new Map();
  isConnected = true;
  #visible = new Map();
  #revision = null;
  #abort = null;

  start() {
    this.#listen();
    this.#look();
    document.addEventListener("visibilitychange", () => this.#again());
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
      const response = await fetch(`/api/cameras/${camera}/ask`, {
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
    const events = new EventSource("/api/events");
    events.addEventListener("state", (event) => this.#hear(JSON.parse(event.data)));
    events.addEventListener("alert", (event) => {
      const alert = JSON.parse(event.data);
      this.alerts.set(alert.id, alert);
      this.#tell("alerts");
    });
    events.addEventListener("error", () => {
      this.#connected(false);
      if (events.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      setTimeout(() => this.#listen(), 3000);
      // Refused, not gone: the login may be over.
      fetch("/api/state").then((response) => response.status === 401 && location.assign("/login"), () => {});
    });
  }

  async #hear(state) {
    this.state = state;
    if (this.#revision !== state.revision || !this.isConnected) await this.#fetchAll(state.revision);
    this.#connected(true);
    this.#tell("state");
  }

  async #fetchAll(revision) {
    this.#revision = revision;
    try {
      const [cameras, alerts] = await Promise.all(
        ["/api/cameras", "/api/alerts"].map((path) => fetch(path).then((response) => response.json())),
      );
      this.cameras = cameras.cameras;
      this.tasks = cameras.tasks;
      // The newest comes first there, and last in a map that grows.
      this.alerts = new Map(alerts.alerts.toReversed().map((alert) => [alert.id, alert]));
      this.#tell("cameras");
      this.#tell("alerts");
    } catch {
      this.#revision = null; // with the next state
    }
  }

  #connected(isConnected) {
    if (isConnected === this.isConnected) return;
    this.isConnected = isConnected;
    this.#tell("connection");
  }

  /** What is wanted has changed: the request that waits is for the wrong cameras. */
  #again() {
    this.#abort?.abort();
  }

  async #look() {
    for (;;) {
      this.#abort = new AbortController();
      const wanted = document.hidden ? [] : [...this.#visible];
      if (wanted.length === 0) {
        await aborted(this.#abort.signal);
        continue;
      }
      const names = wanted.map(([name, frame]) => (frame === null ? name : `${name}:${frame}`)).join(",");
      try {
        const response = await fetch(`/api/pictures?cameras=${names}`, { signal: this.#abort.signal });
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
