// The newest alerts, with their pictures.

import { arrange, h, setText } from "./dom.js";
import { ago, between, moment } from "./times.js";

const REASONS = {
  cleared: "it was gone",
  no_frames: "no more frames",
  camera_offline: "the camera went offline",
  schedule: "its hours were over",
  disabled: "the camera was switched off",
  removed: "it left the configuration",
  shutdown: "Belvedere was stopped",
  interrupted: "Belvedere was interrupted",
};
/** More are at /api/alerts. */
const SHOWN = 60;

export class AlertList {
  #root;
  #live;
  #items = new Map();
  #list = h("ol", { class: "alert-items" });
  /** By whether any camera is watched for a phrase. */
  #nothing = new Map([true, false].map((watched) => [watched, nothing(watched)]));

  constructor(root, live) {
    [this.#root, this.#live] = [root, live];
    live.addEventListener("alerts", () => this.#draw());
    live.addEventListener("cameras", () => this.#draw());
    setInterval(() => this.#items.forEach((item) => item.age()), 10_000);
    this.#draw();
  }

  #draw() {
    const alerts = [...this.#live.alerts.values()];
    alerts.sort((one, other) => other.started_at.localeCompare(one.started_at));
    const shown = alerts.slice(0, SHOWN);
    if (shown.length === 0) {
      const watched = this.#live.cameras?.some((camera) => camera.alerts.length) ?? true;
      arrange(this.#root, [this.#nothing.get(watched)]);
      return;
    }
    const kept = new Map();
    for (const alert of shown) {
      const item = this.#items.get(alert.id) ?? new AlertEntry();
      item.update(alert);
      kept.set(alert.id, item);
    }
    this.#items = kept;
    arrange(this.#list, [...kept.values()].map((item) => item.element));
    arrange(this.#root, [this.#list]);
  }
}

function nothing(watched) {
  const text = watched
    ? "None yet. When a phrase comes true, it is shown here with its picture."
    : "No camera is watched for a phrase. Write one below a camera:";
  const example = watched ? [] : [h("pre", { tabindex: "0" }, '[[camera.alert]]\nphrase = "person on a ladder"')];
  return h("div", { class: "empty small" }, h("p", {}, text), example);
}

class AlertEntry {
  #alert = {};
  #image = h("img", { alt: "", loading: "lazy" });
  #open = h("button", { type: "button", class: "thumb", click: () => this.#enlarge() }, this.#image);
  #phrase = h("strong", {});
  #score = h("span", { class: "score" });
  #where = h("span", { class: "where" });
  #when = h("time", {});
  #end = h("span", { class: "end" });
  element = h("li", { class: "alert" }, this.#open,
    h("div", { class: "alert-text" }, h("div", { class: "alert-head" }, this.#phrase, this.#score),
      h("div", { class: "muted" }, this.#where, " · ", this.#when), this.#end));

  update(alert) {
    if (JSON.stringify(alert) === JSON.stringify(this.#alert)) return;
    this.#alert = alert;
    this.element.dataset.alert = alert.slug;
    this.element.classList.toggle("open", alert.ended_at === null);
    setText(this.#phrase, alert.phrase);
    setText(this.#score, alert.top_score.toFixed(2));
    this.#score.title = "The best score";
    setText(this.#where, [alert.camera, ...alert.zones].join(", "));
    this.#when.dateTime = alert.started_at;
    this.#when.title = moment(alert.started_at);
    setText(this.#end, alert.ended_at === null ? "now" : `${between(alert.started_at, alert.ended_at)}, ${REASONS[alert.reason] ?? alert.reason}`);
    this.#open.hidden = alert.snapshot === null;
    if (alert.snapshot && this.#image.getAttribute("src") !== alert.snapshot) this.#image.src = alert.snapshot;
    this.#open.setAttribute("aria-label", `Enlarge the picture of ${alert.phrase}`);
    this.age();
  }

  age() {
    setText(this.#when, ago(this.#alert.started_at));
  }

  #enlarge() {
    const { phrase, camera, started_at, snapshot, top_score } = this.#alert;
    const dialog = h("dialog", { class: "large", "aria-label": `${phrase} on ${camera}`, close: () => dialog.remove() },
      h("img", { src: snapshot, alt: `${phrase} on ${camera}, with boxes around what was found` }),
      h("form", { method: "dialog" },
        h("p", {}, h("strong", {}, phrase), ` ${top_score.toFixed(2)} · ${camera} · ${moment(started_at)}`),
        h("button", { class: "primary" }, "Close")));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
  }
}
