// One camera: what it shows, how it does, and what it can be asked.

import { AnswerView } from "./answers.js";
import { h, setAttribute, setText } from "./dom.js";
import { Overlay, marksOf, wordsOf } from "./overlay.js";
import { Plot } from "./plots.js";
import { ago, milliseconds, rate, secondsSince } from "./times.js";
import { ZoneEditor } from "./zone_editor.js";

const STATES = { online: "Online", offline: "Offline", disabled: "Switched off" };
/** Words for tasks; a task that is not here has its name. */
const PHRASE = "open-vocabulary-detection";
const TASKS = {
  [PHRASE]: "Look for a phrase",
  caption: "Caption",
  "detailed-caption": "Detailed caption",
  "more-detailed-caption": "More detailed caption",
  "object-detection": "Objects",
  "dense-region-caption": "Captions of regions",
  "region-proposal": "Regions",
  "phrase-grounding": "Ground a caption",
  "referring-expression-segmentation": "Outline a phrase",
  ocr: "Text",
  "ocr-with-region": "Text and where it is",
};
/** The picture is told to those who hear it no more often. */
const TELL_MS = 5000;
/** It is said when a picture was captured that is older than this. */
const OLD_S = 5;
/** One number of the plots. */
const STEP_MS = 2000;

export class CameraCard {
  element;
  #live;
  #camera;
  #now = null;
  #toldAt = -Infinity;
  #sampledAt = performance.now();
  #canvas = h("canvas", { width: 16, height: 9 });
  #overlay = new Overlay();
  #veil = h("div", { class: "veil" });
  /** When the picture was captured, in words; and as it was told. */
  #captured = h("p", { class: "captured", hidden: true });
  #capturedAt = null;
  #picture;
  #state = h("span", { class: "state" });
  #caption = h("p", { class: "caption" });
  #rate = new Plot("Frames per second", rate, 1);
  #age = new Plot("Frame age", milliseconds, 200);
  #task = h("select", { "aria-label": "What to ask" });
  #text = h("input", { type: "text", maxlength: "1000", autocomplete: "off", "aria-label": "The phrase" });
  #isAsking = false;
  #tasks = "";
  #send = h("button", { type: "submit", class: "primary" }, "Ask");
  #answers = h("div", { class: "answers", "aria-live": "polite" });
  #zone;
  #zoneButton = h("button", { type: "button", class: "quiet", click: () => this.#drawZone() }, "Draw a zone");
  #observer;

  constructor(camera, live) {
    this.#live = live;
    this.#camera = camera;
    const name = camera.name;
    this.#picture = h("div", { class: "picture", role: "img", "aria-label": `Picture of ${name}` },
      this.#canvas, this.#overlay.element);
    this.#zone = new ZoneEditor(name, () => this.#leaveZone());
    // What is to be read stands beside the picture: within an image nothing is read.
    const stage = h("div", { class: "stage" }, this.#picture, this.#captured, this.#veil, this.#zone.surface);
    const form = h("form", { class: "ask", submit: (event) => this.#ask(event) }, this.#task, this.#text, this.#send);
    this.#task.addEventListener("change", () => this.#chooseTask());
    this.element = h("article", { class: "card", "aria-labelledby": `camera-${name}`, "data-camera": name },
      h("header", { class: "card-head" }, h("h2", { id: `camera-${name}` }, name), this.#state, this.#zoneButton),
      stage, this.#zone.panel,
      h("div", { class: "card-body" }, this.#caption,
        h("div", { class: "plots" }, this.#rate.element, this.#age.element), form, this.#answers));
    this.#observer = new IntersectionObserver((entries) => live.show(name, entries.at(-1).isIntersecting), { rootMargin: "100px" });
    this.#observer.observe(this.#picture);
  }

  remove() {
    this.#observer.disconnect();
    this.#live.show(this.#camera.name, false);
    this.element.remove();
  }

  /** What the configuration says, with the last minutes. */
  configure(camera, tasks) {
    this.#camera = camera;
    this.#rate.set(camera.history.fps);
    this.#age.set(camera.history.age_ms);
    this.#offer(tasks);
    this.update(camera.now, this.#live.state?.phase ?? { name: "running" });
  }

  /** What can be asked. It does not change while a daemon runs: a list that somebody has open stays as it is. */
  #offer(tasks) {
    const known = tasks.filter(({ input }) => input !== "box");
    const text = JSON.stringify(known);
    if (text === this.#tasks) return;
    this.#tasks = text;
    const first = ({ name }) => (name === PHRASE ? 0 : 1);
    const options = known.toSorted((one, other) => first(one) - first(other));
    const chosen = this.#task.value;
    this.#task.replaceChildren(
      ...options.map(({ name, input }) => h("option", { value: name, "data-input": input }, TASKS[name] ?? name)));
    if (known.some(({ name }) => name === chosen)) this.#task.value = chosen;
    this.#chooseTask();
  }

  /** What is so now. */
  update(now, phase) {
    this.#now = now;
    setText(this.#state, STATES[now.state]);
    setAttribute(this.#state, "class", `state ${now.state}`);
    setAttribute(this.#state, "title", `${STATES[now.state]} since ${ago(now.since)}`);
    const isAlarmed = now.alerts_on.length > 0;
    this.element.classList.toggle("alarmed", isAlarmed && now.state === "online");
    this.element.classList.toggle("dim", now.state !== "online");
    setText(this.#caption, now.caption ?? "");
    this.#caption.hidden = !now.caption;
    this.#sample(now);
    this.#rate.draw(now.state === "online" ? now.fps : null);
    this.#age.draw(now.state === "online" ? now.age_ms : null);
    this.#send.disabled = this.#isAsking || now.state !== "online";
    this.#cover(now, phase);
  }

  /** A picture that stays while others should come must not be taken for what is there now. */
  date() {
    const isOld = this.#capturedAt !== null && secondsSince(this.#capturedAt) > OLD_S;
    this.#captured.hidden = !isOld;
    if (isOld) setText(this.#captured, `Captured ${ago(this.#capturedAt)}`);
  }

  /** A step of the plots is two seconds; the state comes at least each second. */
  #sample(now) {
    const due = performance.now() - this.#sampledAt;
    if (due < STEP_MS) return;
    // What a sleeping computer missed is left out.
    this.#sampledAt = due < 2 * STEP_MS ? this.#sampledAt + STEP_MS : performance.now();
    this.#rate.push(now.fps);
    this.#age.push(now.fps > 0 ? now.age_ms : null);
  }

  /** A new picture with what was found in it. */
  async show({ sight, jpeg }) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(jpeg);
    } catch {
      return; // the next one will do
    }
    if (this.#canvas.width !== bitmap.width || this.#canvas.height !== bitmap.height) {
      [this.#canvas.width, this.#canvas.height] = [bitmap.width, bitmap.height];
      this.#picture.style.aspectRatio = `${sight.width} / ${sight.height}`;
      this.#zone.surface.style.aspectRatio = `${sight.width} / ${sight.height}`;
    }
    this.#canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    const marks = marksOf(sight);
    this.#overlay.draw([sight.width, sight.height], marks, this.#camera.zones);
    this.#canvas.dataset.frame = sight.frame_id;
    this.#capturedAt = sight.captured_at;
    this.date();
    if (this.#now?.state !== "online") return;
    this.#veil.hidden = true;
    if (performance.now() - this.#toldAt > TELL_MS) {
      this.#toldAt = performance.now();
      setAttribute(this.#picture, "aria-label", `Picture of ${sight.camera}: ${wordsOf(marks) || "nothing found"}`);
    }
  }

  /** What is to be read where there is no live picture. */
  #cover(now, phase) {
    const says = (title, detail) => {
      const text = `${title}\n${detail}`;
      this.#veil.hidden = false;
      setAttribute(this.#picture, "aria-label", `No live picture of ${now.name}`);
      this.#toldAt = -Infinity;
      if (this.#veil.dataset.shown === text) return;
      this.#veil.dataset.shown = text;
      this.#veil.replaceChildren(h("strong", {}, title), h("span", {}, detail));
    };
    if (now.state === "offline" && phase.name === "starting") says("Starting", phase.detail);
    else if (now.state === "offline" && now.reason) says("Offline", `${sentence(now.reason)} It is opened again as soon as it answers.`);
    else if (now.state === "offline") says("Opening the stream", "It is shown after its first frame.");
    else if (now.state === "disabled") says("Switched off", `Publish ON to …/${now.name}/enabled/set to switch it on.`);
    // From the first picture since it came back on, there is nothing to say.
    else if (!this.#veil.hidden) says("Online", "Waiting for the next frame.");
  }

  #chooseTask() {
    const [option] = this.#task.selectedOptions;
    const wantsText = option?.dataset.input === "text";
    this.#text.hidden = !wantsText;
    this.#text.required = wantsText;
    this.#text.placeholder = option?.value === PHRASE ? "a person on a ladder" : "text";
  }

  async #ask(event) {
    event.preventDefault();
    const task = this.#task.value;
    const text = this.#text.hidden ? undefined : this.#text.value.trim();
    if (text === "") return;
    const view = new AnswerView(TASKS[task] ?? task, text);
    this.#answers.replaceChildren(view.element);
    this.#isAsking = this.#send.disabled = true;
    view.show(await this.#live.ask(this.#camera.name, { task, text }));
    this.#isAsking = false;
    this.#send.disabled = this.#now?.state !== "online";
  }

  #drawZone() {
    this.#zoneButton.disabled = true;
    this.element.classList.add("zoning");
    this.#zone.open(this.#camera.zones);
  }

  #leaveZone() {
    this.#zoneButton.disabled = false;
    this.element.classList.remove("zoning");
    this.#zoneButton.focus();
  }
}

/** With a capital and a full stop. */
function sentence(text) {
  return `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}.`;
}
