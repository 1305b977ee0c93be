// A zone drawn on the picture, as lines for the configuration. With a mouse, a finger, or the keyboard.

import { h, setText } from "./dom.js";
import { wrongWith } from "./outline.js";

/** How far an arrow key moves the cross, as a part of the picture; with Shift, five times as far. */
const STEP = 0.01;
/** A corner is taken hold of from so near, in pixels of the screen. */
const REACH_PX = 22;
const HELP = "Click or tap to set corners, drag to move them. Keyboard: arrows move the cross, Enter sets a corner, Backspace takes the last one back, Escape ends.";

export class ZoneEditor {
  surface;
  panel;
  #leave;
  #camera;
  #points = [];
  #cursor = [0.5, 0.5];
  #held = null;
  #others = [];
  #shape = h("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  #handles = h("div", { class: "handles", "aria-hidden": "true" });
  #name = h("input", { type: "text", value: "zone-1", maxlength: "60", autocomplete: "off", input: () => this.#draw() });
  #status = h("p", { class: "muted small", role: "status" });
  #code = h("pre", { class: "code", tabindex: "0", "aria-label": "Lines for belvedere.toml" });
  #copy = h("button", { type: "button", class: "primary", click: () => this.#copyLines() }, "Copy");
  #undo = h("button", { type: "button", click: () => this.#takeBack() }, "Take back");

  constructor(camera, leave) {
    [this.#camera, this.#leave] = [camera, leave];
    this.surface = h("div", {
      class: "zone-surface", hidden: true, tabindex: "0", role: "application", "aria-label": `Zone on ${camera}. ${HELP}`,
      pointerdown: (event) => this.#press(event),
      pointermove: (event) => this.#drag(event),
      pointerup: () => (this.#held = null),
      pointercancel: () => (this.#held = null),
      keydown: (event) => this.#key(event),
    }, this.#shape, this.#handles);
    const close = h("button", { type: "button", click: () => this.#close() }, "Done");
    this.panel = h("section", { class: "zone-panel", hidden: true, "aria-label": "New zone" },
      h("p", { class: "small" }, HELP),
      h("div", { class: "zone-row" }, h("label", {}, h("span", {}, "Name"), this.#name), this.#undo, this.#copy, close),
      this.#status, this.#code);
  }

  /** Begins a new zone beside those that there are. */
  open(others) {
    this.#others = others;
    [this.#points, this.#cursor, this.#held] = [[], [0.5, 0.5], null];
    let number = others.length + 1;
    while (this.#isTaken(`zone-${number}`)) number += 1;
    this.#name.value = `zone-${number}`;
    this.surface.hidden = this.panel.hidden = false;
    this.#draw();
    this.surface.focus({ preventScroll: true });
  }

  #close() {
    this.surface.hidden = this.panel.hidden = true;
    this.#leave();
  }

  #place(event) {
    const area = this.surface.getBoundingClientRect();
    return [clamp((event.clientX - area.left) / area.width), clamp((event.clientY - area.top) / area.height)];
  }

  #press(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.surface.focus({ preventScroll: true });
    this.surface.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    const area = this.surface.getBoundingClientRect();
    const far = ([x, y]) => Math.hypot((x - place[0]) * area.width, (y - place[1]) * area.height);
    const nearest = this.#points.findIndex((point) => far(point) < REACH_PX);
    this.#held = nearest >= 0 ? nearest : this.#points.push(place) - 1;
    this.#cursor = place;
    this.#draw();
  }

  #drag(event) {
    if (this.#held === null) return;
    this.#points[this.#held] = this.#cursor = this.#place(event);
    this.#draw();
  }

  #key(event) {
    const step = event.shiftKey ? STEP * 5 : STEP;
    const move = (x, y) => (this.#cursor = [clamp(this.#cursor[0] + x), clamp(this.#cursor[1] + y)]);
    const keys = {
      ArrowLeft: () => move(-step, 0),
      ArrowRight: () => move(step, 0),
      ArrowUp: () => move(0, -step),
      ArrowDown: () => move(0, step),
      Enter: () => this.#points.push([...this.#cursor]),
      " ": () => this.#points.push([...this.#cursor]),
      Backspace: () => this.#points.pop(),
      Delete: () => this.#points.pop(),
      Escape: () => this.#close(),
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
    if (!this.surface.hidden) this.#draw();
  }

  #takeBack() {
    this.#points.pop();
    this.#draw();
  }

  #draw() {
    const count = this.#points.length;
    const wrong = wrongWith(this.#points);
    const text = this.#points.map((point) => point.join(",")).join(" ");
    this.#shape.replaceChildren(h("polygon", { points: text, class: wrong && count > 2 ? "new-zone wrong" : "new-zone" }));
    const dot = ([x, y], kind) => {
      const element = h("span", { class: kind });
      [element.style.left, element.style.top] = [`${x * 100}%`, `${y * 100}%`];
      return element;
    };
    this.#handles.replaceChildren(...this.#points.map((point) => dot(point, "handle")), dot(this.#cursor, "cross"));
    const taken = this.#isTaken(this.#zoneName());
    const lines = wrong || taken ? null : this.#lines();
    setText(this.#code, lines ?? "");
    this.#code.hidden = !lines;
    this.#copy.disabled = !lines;
    this.#undo.disabled = count === 0;
    const corners = `${count} corner${count === 1 ? "" : "s"}`;
    let status = `${corners}. Paste the lines below the camera “${this.#camera}”, and name the zone in its alerts.`;
    if (wrong) status = `${corners}; ${wrong}.`;
    else if (taken) status = "The camera has a zone of this name already; give this one another.";
    setText(this.#status, status);
  }

  #zoneName() {
    return this.#name.value.trim() || "zone";
  }

  #isTaken(wanted) {
    return this.#others.some(({ name }) => name === wanted);
  }

  /** For belvedere.toml. */
  #lines() {
    const number = (part) => String(Math.round(part * 1000) / 1000).replace(/^([01])$/, "$1.0");
    const polygon = this.#points.map(([x, y]) => `[${number(x)}, ${number(y)}]`).join(", ");
    return `[[camera.zone]]\nname = ${toml(this.#zoneName())}\npolygon = [${polygon}]`;
  }

  async #copyLines() {
    try {
      await navigator.clipboard.writeText(this.#code.textContent);
      setText(this.#status, "Copied.");
    } catch {
      // Only pages over TLS or on this machine may write there: then the lines are selected, to be copied by hand.
      getSelection().selectAllChildren(this.#code);
      setText(this.#status, "Selected; copy with Ctrl-C.");
    }
  }
}

function clamp(part) {
  return Math.min(1, Math.max(0, Math.round(part * 1000) / 1000));
}

/** A basic string of TOML. What JSON escapes, TOML reads the same. */
function toml(text) {
  return JSON.stringify(text).replaceAll("\u007f", "\\u007f");
}
